from timetable import PARTS, Airport, Departure

import mainspring as ms

system = ms.System(**{
    **PARTS,
    "features": {
        "delay": Departure.dep_delay.mean(by="orign", over="1h"),
        "height": Airport.altitude.latest(by={"origin": "airport"}),
    },
})  # fmt: skip
