from timetable import PARTS

import mainspring as ms

system = ms.System(**{
    **PARTS,
    "checks": [ms.Check.noise("dealy")],
    "groups": {"place": ("origin", "weather")},
})  # fmt: skip
