from timetable import PARTS, Arrival

import mainspring as ms

system = ms.System(**{
    **PARTS,
    "label": ms.Label(Arrival.arr_delay >= 15, by="flight_id", within="36h", otherwise=1),
})  # fmt: skip
