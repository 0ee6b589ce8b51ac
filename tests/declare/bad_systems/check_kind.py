from timetable import PARTS

import mainspring as ms

system = ms.System(**{
    **PARTS,
    "checks": [
        ms.Check.direction("origin", by=1, expect="up"),
        ms.Check.invariance("delay", to=("high", "low")),
    ],
})  # fmt: skip
