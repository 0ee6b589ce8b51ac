from timetable import PARTS, Arrival

import mainspring as ms

system = ms.System(**{
    **PARTS,
    "label": ms.Label(Arrival.note, by="flight_id", within="36h"),
})  # fmt: skip
