from timetable import PARTS, Arrival, Flight

import mainspring as ms

system = ms.System(**{
    **PARTS,
    "features": {
        "place": Flight.origin + 1,
        "far": (Flight.distance > 500) * 2,
        "age": Flight.sched_dep.hours(),
        "late": (Arrival.arr_delay & True).share(by="dest", over="1h"),
    },
})  # fmt: skip
