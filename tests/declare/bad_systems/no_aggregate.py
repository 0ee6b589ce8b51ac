from timetable import PARTS, Airport, Departure, Flight

import mainspring as ms

system = ms.System(**{
    **PARTS,
    "features": {
        "delay": Departure.dep_delay,
        "height": Flight.distance / Airport.altitude,
    },
})  # fmt: skip
