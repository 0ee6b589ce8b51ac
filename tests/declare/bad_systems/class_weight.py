from timetable import LATENESS, PARTS

import mainspring as ms

system = ms.System(**{
    **PARTS,
    "label": LATENESS,
    "training": ms.Training(class_weight="balanced"),
})  # fmt: skip
