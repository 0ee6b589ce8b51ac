from timetable import DELAY, PARTS, Departure

import mainspring as ms

system = ms.System(**{
    **PARTS,
    "features": {
        "calm": (Departure.dep_delay - DELAY).mean(by="origin", over="1h"),
    },
})  # fmt: skip
