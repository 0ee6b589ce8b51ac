from timetable import PARTS, Arrival

import mainspring as ms

system = ms.System(**{
    **PARTS,
    "features": {
        "age": (ms.decided_at - Arrival.landed_at).hours().mean(by="dest", over="6h"),
    },
})  # fmt: skip
