from timetable import PARTS, Arrival, Flight

import mainspring as ms

system = ms.System(**{
    **PARTS,
    "label": ms.Label(Arrival.landed_at - Flight.sched_dep > "5h", by="flight_id", within="36h"),
})  # fmt: skip
