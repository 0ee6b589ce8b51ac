"""What the input monitors say of each table. How often each is wrong when nothing is the matter stands in its docstring."""

from __future__ import annotations

from statistics import median

from scipy.special import bdtrc, betainc

from mainspring.clock import DAY, HOUR, MINUTE, SECOND, format_instant, format_span
from mainspring.monitoring.inputs import InputsKnown, TableKnown
from mainspring.monitoring.readings import Reading

__all__ = ["input_readings"]

_TWO_WEEKS = 14 * DAY
_FALSE_ALARMS = 0.1  # of the volume of a table in a year
_YEAR = 365.25 * DAY
_EFFECT = 0.25
_TOLERATED = 0.01  # of the rows of a table may be rejected, or late, and nobody is told
_CHANCE = 1e-3


def input_readings(known: InputsKnown, now: int) -> list[Reading]:
    """Return what each monitor says of each table at an instant (microseconds): by table, in the order they were first seen."""
    found = []
    for name, table in known.tables.items():
        found += [
            _share("contract violations", name, table),
            _volume(known, name, now),
            _staleness(known, name, now),
            _share("late facts", name, table),
        ]
    return found


def _reading(
    monitor: str, about: str, state: str, told: str, value: float | None = None, limit: float | None = None
) -> Reading:
    return Reading(monitor=monitor, kind="inputs", about=about, value=value, limit=limit, state=state, told=told)  # type: ignore[arg-type]


def _volume(known: InputsKnown, name: str, now: int) -> Reading:
    """Too few or too many rows in the last slot that has ended, against the median of the same weekday (and hour) before.

    Counts vary more than a Poisson does: by a negative binomial whose variance is `spread` times the mean, as the last weeks have
    shown, and the median of a few weeks is uncertain too. Of hours, the neighbours count as well: where clocks change, all is an
    hour off. What differs by less than a quarter is never told. In a table whose counts are so distributed there is a false alarm
    in ten years, more or less; one whose weeks are unlike each other (holidays) has more.
    """
    slot = now // known.width - 1
    when = _slot_in_words(known, slot)
    rows, spread = known.rows_in(name, slot), known.tables[name].usual.spread
    before = known.same_weekday(name, slot)
    if rows is None:
        return _reading("volume", name, "unknown", f"{name}: looks were too seldom to count the rows of {when}.")
    if len(before) < 2 or spread is None:
        told = f"{name} had {rows:,} rows in {when}; how many are usual is known after some weeks."
        return _reading("volume", name, "unknown", told, float(rows))
    usual = median(before)
    told = f"{name} had {rows:,} rows in {when}, and {usual:,g} are usual."
    state = "ok"
    if abs(rows - usual) > _EFFECT * usual:
        near = [known.same_weekday(name, slot + k) for k in (-1, 1)] if known.width < DAY else []
        references = [(median(each), 1 / len(each)) for each in [before, *near] if len(each) >= 2]
        (few, few_doubt), (many, many_doubt) = min(references), max(references)
        rare = _FALSE_ALARMS * known.width / _YEAR / 2
        too_few = rows < (1 - _EFFECT) * few and _at_most(rows, few, spread * (1 + few_doubt)) < rare
        too_many = (
            rows > (1 + _EFFECT) * many and _at_least(rows, many + many_doubt / 2, spread * (1 + many_doubt)) < rare
        )
        state = "firing" if too_few or too_many else "ok"
    return _reading("volume", name, state, told, float(rows), float(usual))


def _at_most(rows: int, mean: float, ratio: float) -> float:
    """The probability of so few rows or fewer."""
    return float(betainc(mean / (ratio - 1), rows + 1, 1 / ratio))


def _at_least(rows: int, mean: float, ratio: float) -> float:
    """The probability of so many rows or more."""
    return float(betainc(rows, mean / (ratio - 1), 1 - 1 / ratio))


def _slot_in_words(known: InputsKnown, slot: int) -> str:
    return f"the {'day' if known.width == DAY else 'hour'} from {format_instant(slot * known.width)}"


def _staleness(known: InputsKnown, name: str, now: int) -> Reading:
    """No row for more than twice as long as is usual, which is the longest gap that all but a tenth of the days had to end.

    Of rows that come by chance alone, ten a day or more, there is a false alarm a year at most; of rows by day and night, or of
    workdays, fewer.
    """
    table = known.tables[name]
    gap = table.usual.gap
    if table.newest is None:
        return _reading("staleness", name, "unknown", f"{name} has no row yet.")
    quiet = max(0, now - table.newest)
    if known.since is None or now - known.since < _TWO_WEEKS or gap is None:
        told = f"{name} has had no row for {_rounded(quiet)}; how long is usual is known after two weeks."
        return _reading("staleness", name, "unknown", told, quiet / SECOND)
    limit = 2 * gap
    told = f"{name} has had no row for {_rounded(quiet)}; up to {_rounded(gap)} is usual."
    return _reading("staleness", name, "firing" if quiet > limit else "ok", told, quiet / SECOND, limit / SECOND)


def _rounded(span: int) -> str:
    grain = HOUR if span >= 2 * DAY else MINUTE if span >= 2 * HOUR else SECOND
    return format_span(span // grain * grain)


def _share(monitor: str, name: str, table: TableKnown) -> Reading:
    """The share of rows that were rejected, or late, today and yesterday: above 1%, and above twice what was usual before.

    It fires when the share is above that limit, and so many would be met by chance less than once in a thousand looks that are a
    day apart, if rows fail independently. Rows that fail in batches make it fire sooner.
    """
    violations = monitor == "contract violations"
    lately, before = table.lately, table.usual
    bad = sum(day.rejected if violations else day.late for day in lately)
    rows = sum(day.rows + day.rejected * violations for day in lately)
    if not rows:
        return _reading(monitor, name, "unknown", f"{name} had no row today or yesterday.")
    rows_before = before.rows + before.rejected * violations
    usual = (before.rejected if violations else before.late) / rows_before if rows_before else 0.0
    limit = max(_TOLERATED, 2 * usual)
    told = (
        f"{bad:,} of {rows:,} rows of {name} were {'rejected' if violations else 'more than an hour late'} today and "
    )
    told += f"yesterday, and {usual:.1%} before."
    firing = bad / rows > limit and float(bdtrc(bad - 1, rows, limit)) < _CHANCE
    return _reading(monitor, name, "firing" if firing else "ok", told, bad / rows, limit)
