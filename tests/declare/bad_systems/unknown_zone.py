from timetable import PARTS, Flight

import mainspring as ms

system = ms.System(**{
    **PARTS,
    "features": {"hour": Flight.sched_dep.hour("America/New_Yrok")},
})  # fmt: skip
