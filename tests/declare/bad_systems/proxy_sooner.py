from timetable import PARTS, Airport, Departure, Flight

import mainspring as ms

system = ms.System(**{
    **PARTS,
    "proxies": {
        "left late": ms.Proxy(Departure.dep_delay >= 15, by="flight_id", within="36h"),
        "far": ms.Proxy(Flight.distance > 100, by="flight_id", within="6h"),
        "high": ms.Proxy(Airport.altitude > 100, by="origin", within="6h"),
        "any": ms.Proxy(Departure.dep_delay > 100, within="6h", otherwise=1),
        "unfound": ms.Proxy(Departure.dep_delay > 100, by="flight", within="6h"),
    },
})  # fmt: skip
