from timetable import LATENESS, PARTS, Departure

import mainspring as ms

system = ms.System(**{
    **PARTS,
    "label": LATENESS,
    "proxies": {"delay": ms.Proxy(Departure.dep_delay, by="flight_id", within="6h")},
})  # fmt: skip
