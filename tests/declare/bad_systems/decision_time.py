from timetable import PARTS, Arrival, Flight

import mainspring as ms

system = ms.System(**{
    **PARTS,
    "decision": ms.Decision(Flight, at=Arrival.landed_at.latest(by="dest")),
})  # fmt: skip
