from timetable import PARTS, Flight

import mainspring as ms

system = ms.System(**{
    **PARTS,
    "label": ms.Label(Flight.distance > 100, by="flight_id", within="36h"),
})  # fmt: skip
