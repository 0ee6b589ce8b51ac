from timetable import PARTS, Departure

import mainspring as ms

system = ms.System(**{
    **PARTS,
    "features": {
        "delay": Departure.dep_delay.mean(by={"origin": "distance"}, over="1h"),
    },
})  # fmt: skip
