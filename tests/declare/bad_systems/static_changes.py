from timetable import PARTS

import mainspring as ms


class Fare(ms.Table, static=True):
    dest = ms.Key()
    price = ms.Float(unit="USD")
    valid_from = ms.Time()


system = ms.System(**{
    **PARTS,
    "features": {"price": Fare.price.latest(by="dest")},
})  # fmt: skip
