from timetable import PARTS, Flight

import mainspring as ms

system = ms.System(**{
    **PARTS,
    "features": {"when": Flight.sched_dep - "1h"},
})  # fmt: skip
