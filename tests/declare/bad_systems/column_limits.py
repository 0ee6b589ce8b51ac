from timetable import PARTS

import mainspring as ms


class Order(ms.Table):
    flight_id = ms.Key()
    origin = ms.Category()
    express = ms.Bool(ge=1)
    placed = ms.KnownAt()


system = ms.System(**{
    **PARTS,
    "decision": ms.Decision(Order, at=Order.placed),
})  # fmt: skip
