from timetable import PARTS

import mainspring as ms

system = ms.System(**{
    **PARTS,
    "alerts": ms.Alerts(to=["team@example.org"]),
})  # fmt: skip
