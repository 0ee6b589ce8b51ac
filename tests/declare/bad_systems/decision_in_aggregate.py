from timetable import PARTS, Arrival, Flight

import mainspring as ms

system = ms.System(**{
    **PARTS,
    "features": {
        "same": Arrival.count(by="dest", over="1h", where=Arrival.dest == Flight.dest),
    },
})  # fmt: skip
