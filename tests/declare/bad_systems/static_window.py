from timetable import PARTS, Airport

import mainspring as ms

system = ms.System(**{
    **PARTS,
    "features": {
        "height": Airport.altitude.mean(by="origin", over="1h"),
        "known": Airport.altitude.latest(by="origin", within="1h"),
    },
})  # fmt: skip
