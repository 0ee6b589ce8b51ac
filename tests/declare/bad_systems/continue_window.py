from timetable import PARTS

import mainspring as ms

system = ms.System(**{
    **PARTS,
    "retrain": ms.Retrain(when=ms.Every("1d"), how="continue", window=["30d", "7d"]),
})  # fmt: skip
