from timetable import PARTS, Departure

import mainspring as ms

system = ms.System(**{
    **PARTS,
    "features": {
        "delay": Departure.dep_delay.mean(by="origin", over="1h", where=Departure.dep_delay),
    },
})  # fmt: skip
