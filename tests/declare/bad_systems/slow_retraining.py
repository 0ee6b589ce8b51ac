from timetable import PARTS

import mainspring as ms

system = ms.System(**{
    **PARTS,
    "retrain": ms.Retrain(when=[ms.AnyOf(ms.Every("6h"), ms.Volume(500)), ms.AllOf(ms.Every("1h"), ms.Volume(9))], delay="1d"),
})  # fmt: skip
