from timetable import PARTS

import mainspring as ms

system = ms.System(**{
    **PARTS,
    "brief": ms.Brief(goal="Fewer surprises.", owner="The travel team."),
})  # fmt: skip
