from timetable import PARTS, Arrival

import mainspring as ms

system = ms.System(**{
    **PARTS,
    "features": {
        "actual": Arrival.arr_delay.latest(by="flight_id", within="1d"),
        "place": Arrival.arr_delay.latest(by="dest", within="1d"),
    },
})  # fmt: skip
