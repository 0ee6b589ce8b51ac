from timetable import PARTS, Departure, Flight

import mainspring as ms

system = ms.System(**{
    **PARTS,
    "decision": ms.Decision(Flight, every="1h"),
    "label": ms.Label(Departure.count(by="origin", over="1h") > 3, within="1h"),
    "friction": {"asks again": ms.Friction.asks_again(within="10m"), "left": ms.Friction(Departure, within="10m")},
})  # fmt: skip
