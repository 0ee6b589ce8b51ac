from timetable import PARTS, Flight

import mainspring as ms

system = ms.System(**{
    **PARTS,
    "features": {"remark": Flight.remark},
})  # fmt: skip
