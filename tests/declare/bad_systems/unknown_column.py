from timetable import PARTS, Departure, Flight

import mainspring as ms

system = ms.System(**{
    **PARTS,
    "features": {
        "delay": Departure.dep_dely.mean(by="origin", over="1h"),
        "far": Flight.miles > 500,
    },
})  # fmt: skip
