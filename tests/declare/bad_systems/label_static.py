from timetable import PARTS, Airport

import mainspring as ms

system = ms.System(**{
    **PARTS,
    "label": ms.Label(Airport.altitude > 100, by="origin", within="36h"),
})  # fmt: skip
