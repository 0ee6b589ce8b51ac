from timetable import PARTS, Flight

import mainspring as ms

system = ms.System(**{
    **PARTS,
    "heuristic": Flight.origin,
})  # fmt: skip
