from timetable import PARTS, Departure, Flight

import mainspring as ms

system = ms.System(**{
    **PARTS,
    "features": {
        "slow": Flight.distance + Departure.dep_delay.mean(by="origin", over="1h"),
    },
})  # fmt: skip
