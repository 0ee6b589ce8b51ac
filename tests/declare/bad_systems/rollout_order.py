from timetable import PARTS

import mainspring as ms

system = ms.System(**{
    **PARTS,
    "rollout": ms.Rollout(
        ms.Canary(0.1, "2d"),
        ms.Shadow("1d"),
        ms.Full(),
        ms.AB(0.5),
    ),
})  # fmt: skip
