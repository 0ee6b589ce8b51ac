from timetable import PARTS

import mainspring as ms


class Weather(ms.Table):
    origin = ms.Category()
    wind = ms.Float()
    seen = ms.KnownAt()


FirstWeather = Weather


class Weather(ms.Table):  # declared again under the same name
    origin = ms.Category()
    rain = ms.Float()
    seen = ms.KnownAt()


system = ms.System(**{
    **PARTS,
    "features": {
        "wind": FirstWeather.wind.latest(by="origin", within="3h"),
        "rain": Weather.rain.latest(by="origin", within="3h"),
    },
})  # fmt: skip
