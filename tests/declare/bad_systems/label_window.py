from timetable import PARTS, Departure

import mainspring as ms

system = ms.System(**{
    **PARTS,
    "label": ms.Label(Departure.count(by="origin", over="6h") > 9, within="1h"),
})  # fmt: skip
