from timetable import LATENESS, PARTS

import mainspring as ms

system = ms.System(**{
    **PARTS,
    "label": LATENESS,
    "objective": ms.Objective(payoff=ms.Payoff(hit=1, miss=-1, false_alarm=-1)),
})  # fmt: skip
