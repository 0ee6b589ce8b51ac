from timetable import PARTS

import mainspring as ms

system = ms.System(**{
    **PARTS,
    "objective": ms.Objective(metric="logloss", guards=[ms.Guard("rmse", at_most=1)]),
    "retrain": ms.Retrain(when=ms.AnyOf(ms.Every("7d"), ms.Degraded("payoff", by=1))),
})  # fmt: skip
