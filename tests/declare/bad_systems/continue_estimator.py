from sklearn.linear_model import LogisticRegression
from timetable import PARTS

import mainspring as ms

system = ms.System(**{
    **PARTS,
    "model": LogisticRegression(),
    "retrain": ms.Retrain(when=ms.Every("1d"), how="continue"),
})  # fmt: skip
