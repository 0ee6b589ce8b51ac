from timetable import PARTS, Departure

import mainspring as ms

system = ms.System(**{
    **PARTS,
    "features": {
        "delay": Departure.dep_delay.mean(by="origin", over="90d"),
    },
    "training": ms.Training(window="60d"),
    "retrain": ms.Retrain(when=ms.Every("7d"), window="30d"),
})  # fmt: skip
