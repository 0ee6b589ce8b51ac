from timetable import PARTS

import mainspring as ms

system = ms.System(**{
    **PARTS,
    "groups": {"place": ("origin",), "all": ("origin", "delay")},
})  # fmt: skip
