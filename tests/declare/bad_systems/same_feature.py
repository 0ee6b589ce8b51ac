from timetable import DELAY, PARTS

import mainspring as ms

system = ms.System(**{
    **PARTS,
    "features": {"delay": DELAY, "lateness": DELAY},
})  # fmt: skip
