"""The tables and the sound parts that every bad system starts from; each changes one thing."""

import mainspring as ms


class Flight(ms.Table):
    flight_id = ms.Key()
    origin = ms.Category()
    dest = ms.Category()
    distance = ms.Float(unit="mile", ge=0)
    remark = ms.Text(optional=True)
    sched_dep = ms.Time()
    published = ms.KnownAt()


class Departure(ms.Table):
    flight_id = ms.Key()
    origin = ms.Category()
    dep_delay = ms.Float(unit="min")
    left_at = ms.KnownAt()


class Arrival(ms.Table):
    flight_id = ms.Key()
    dest = ms.Category()
    cause = ms.Category(optional=True)
    note = ms.Text(optional=True)
    arr_delay = ms.Float(unit="min")
    landed_at = ms.KnownAt()


class Airport(ms.Table, static=True):
    origin = ms.Key()
    altitude = ms.Float(unit="foot")


DELAY = Departure.dep_delay.mean(by="origin", over="1h")
PARTS = {
    "name": "delays",
    "decision": ms.Decision(Flight, at=Flight.sched_dep - "2h"),
    "label": ms.Label(Arrival.arr_delay >= 15, by="flight_id", within="36h"),
    "features": {"origin": Flight.origin, "delay": DELAY},
    "brief": ms.Brief(**dict.fromkeys(ms.declare.QUESTIONS, "answered")),
}
LATENESS = ms.Label(Arrival.arr_delay, by="flight_id", within="36h")
CAUSE = ms.Label(Arrival.cause, by="flight_id", within="36h")
