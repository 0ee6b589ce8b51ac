from timetable import PARTS, Arrival, Departure

import mainspring as ms

system = ms.System(**{
    **PARTS,
    "features": {
        "causes": Arrival.cause.mean(by="dest", over="6h"),
        "late": Departure.dep_delay.share(by="origin", over="6h"),
        "rate": (Departure.dep_delay > 15).mean(by="origin", over="6h"),
    },
})  # fmt: skip
