from timetable import PARTS, Arrival, Departure

import mainspring as ms

system = ms.System(**{
    **PARTS,
    "features": {
        "gain": (Departure.dep_delay - Arrival.arr_delay).mean(by="origin", over="1h"),
    },
})  # fmt: skip
