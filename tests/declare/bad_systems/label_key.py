from timetable import PARTS, Arrival

import mainspring as ms

system = ms.System(**{
    **PARTS,
    "label": ms.Label(Arrival.arr_delay, within="36h"),
})  # fmt: skip
