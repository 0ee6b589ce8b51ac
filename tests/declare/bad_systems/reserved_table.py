from timetable import PARTS

import mainspring as ms


class Predictions(ms.Table):
    origin = ms.Category()
    wind = ms.Float()
    made = ms.KnownAt()


class OutcomesOfGames(ms.Table):  # only the whole name is taken
    origin = ms.Category()
    goals = ms.Int()
    seen = ms.KnownAt()


class FlightQuarantine(ms.Table):
    origin = ms.Category()
    ill = ms.Int()
    seen = ms.KnownAt()


system = ms.System(**{
    **PARTS,
    "features": {
        "wind": Predictions.wind.latest(by="origin", within="3h"),
        "goals": OutcomesOfGames.goals.latest(by="origin", within="3h"),
        "ill": FlightQuarantine.ill.latest(by="origin", within="3h"),
    },
})  # fmt: skip
