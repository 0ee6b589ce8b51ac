from timetable import PARTS, Flight

import mainspring as ms

system = ms.System(**{
    **PARTS,
    "features": {"bias": 1, "origin": Flight.origin},
})  # fmt: skip
