from timetable import PARTS, Departure

import mainspring as ms

system = ms.System(**{
    **PARTS,
    "features": {"last": Departure.dep_delay.latest(by="origin")},
})  # fmt: skip
