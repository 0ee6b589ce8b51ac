"""The draft: what each column of a file is for. Every choice that the file itself does not settle is a guess, and says so."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl

from mainspring.clock import DAY, HOUR, MINUTE, SECOND, format_span
from mainspring.declare import Kind
from mainspring.declare.kind import NUMBERS
from mainspring.errors import SourceError
from mainspring.loop.starter.survey import Field
from mainspring.loop.starter.telltale import tells

__all__ = ["Draft", "draft"]

_USUAL_TARGETS = (
    "target",
    "label",
    "y",
    "outcome",
    "class",
    "count",
    "cnt",
    "demand",
    "sales",
    "total",
    "churn",
    "is_fraud",
)
_USUAL_TIMES = ("timestamp", "datetime", "time", "date", "event_time", "created_at", "created", "occurred_at", "ts")
_SPANS = (SECOND, MINUTE, 5 * MINUTE, HOUR, 6 * HOUR, DAY, 7 * DAY, 28 * DAY)
_MOST_GROUPS = 2
_MOST_CATEGORIES = 100  # of a category that is a feature itself


@dataclass(frozen=True, kw_only=True)
class Draft:
    """What each column is for. Spans are in microseconds."""

    time: Field
    key: Field | None  # None: the rows are numbered
    target: Field | None  # None: what is predicted is how many rows come
    inputs: Sequence[Field]  # known when the decision is made
    outcomes: Sequence[Field]  # known with the target
    later: Sequence[Field]  # times that lie after the row's own
    groups: Sequence[Field]  # inputs by which rows belong together
    step: int | None  # the regular distance between rows, None where there is none
    lag: int  # how long after a row its outcome is known
    windows: Sequence[int]
    positive: str | int | float | None  # the value of a two-valued target that is predicted
    guesses: Sequence[str]

    @property
    def task(self) -> str:
        """What the label is."""
        if self.target is None or (self.target.kind in NUMBERS and self.positive is None):
            return "regression"
        return "binary" if self.target.kind is Kind.BOOL or self.positive is not None else "multiclass"

    def usable(self, field: Field) -> bool:
        """Whether a column can be a feature as it is."""
        few = field.distinct <= _MOST_CATEGORIES
        return field.distinct > 1 and (
            field.kind in NUMBERS | {Kind.BOOL, Kind.TEXT} or (field.kind is Kind.CATEGORY and few)
        )


def draft(fields: Sequence[Field], rows: int, *, target: str | None, time: str | None, key: str | None) -> Draft:
    """Decide what each column is for.

    Raises SourceError (SOURCE_TIME) when no column, or none of several, tells when a row was known, and SOURCE_COLUMN when
    an option names a column that the file does not have or that cannot be what the option says.
    """
    guesses: list[str] = []
    moment = _time(fields, time, guesses)
    outcome = _target(fields, moment, target, guesses)
    identity = _key(fields, rows, moment, outcome, key, guesses) if outcome is not None else None
    rest = [field for field in fields if field not in (moment, outcome, identity)]
    later = [field for field in rest if field.kind is Kind.TIME and _lies_after(field, moment)]
    rest = [field for field in rest if field not in later]
    outcomes = [field for field in rest if outcome is not None and tells(field, outcome, rest)]
    inputs = [field for field in rest if field not in outcomes]
    step, lag, windows = _spans(moment, guesses, counted=outcome is None)
    if outcome is None and step is not None:
        raise SourceError(
            "SOURCE_COLUMN",
            f"No --target was named, and how many rows come next is no question: one comes every {format_span(step)}.",
            exists=f"There is {_listed(inputs)}.",
            fix="Name the column to predict: --target COLUMN.",
        )
    return Draft(
        time=moment,
        key=identity,
        target=outcome,
        inputs=inputs,
        outcomes=outcomes,
        later=later,
        groups=_groups(inputs, rows),
        step=step,
        lag=lag,
        windows=windows,
        positive=_positive(outcome),
        guesses=guesses,
    )


def _named(fields: Sequence[Field], wanted: str, option: str) -> Field:
    for field in fields:
        if wanted in (field.source, field.name, field.source.replace('""', '"')):
            return field
    raise SourceError(
        "SOURCE_COLUMN",
        f"{option} names {wanted!r}, which the file does not have.",
        exists=f"It has {', '.join(field.source for field in fields)}.",
        fix="Name one of these.",
    )


def _time(fields: Sequence[Field], wanted: str | None, guesses: list[str]) -> Field:
    candidates = [field for field in fields if field.kind is Kind.TIME]
    if wanted is not None:
        chosen = _named(fields, wanted, "--time")
        if chosen not in candidates:
            raise SourceError(
                "SOURCE_COLUMN",
                f"--time names {wanted!r}, which holds no times: it begins with {chosen.raw.drop_nulls().head(2).to_list()!r}.",
                exists=f"Times are in {_listed(candidates)}." if candidates else "",
                fix='Write them as ISO 8601, such as "2024-05-31 18:00".',
            )
    elif len(candidates) == 1:
        chosen = candidates[0]
        guesses.append(f"{chosen.source!r} is the only column of times: it is taken to tell when a row was known.")
    else:
        chosen = _obvious_time(fields, candidates)
        others = [field for field in candidates if field is not chosen]
        guesses.append(f"{chosen.source!r} is taken to tell when a row was known, and not {_listed(others)}.")
    if chosen.values.n_unique() <= 1 + bool(chosen.values.null_count()):
        raise SourceError(
            "SOURCE_TIME",
            f"Every row has the same time in {chosen.source!r}: nothing can be learnt from a single moment.",
            fix="Name the column that tells when each row was known: --time COLUMN.",
        )
    return chosen


def _obvious_time(fields: Sequence[Field], candidates: list[Field]) -> Field:
    """Of several, the one with the usual name, or the one that comes first in every row."""
    candidates = [field for field in candidates if not any(_is_day_of(field, other) for other in candidates)]
    if len(candidates) == 1:
        return candidates[0]
    usual = [field for name in _USUAL_TIMES for field in candidates if field.name == name and not field.missing]
    first = [
        field
        for field in candidates
        if not field.missing and all(other is field or _lies_after(other, field, share=0.99) for other in candidates)
    ]
    if usual[:1] or first[:1]:
        return (usual or first)[0]
    if candidates:
        raise SourceError(
            "SOURCE_TIME",
            f"Several columns hold times, and none of them is plainly the one that tells when a row was known: "
            f"{_listed(candidates)}.",
            fix=f"Choose one: --time {candidates[0].source}",
        )
    raise SourceError(
        "SOURCE_TIME",
        "No column tells when a row was known, and without that nobody can say what a decision may use.",
        exists=f"The file has {', '.join(field.source for field in fields)}.",
        fix='Add a column of times as ISO 8601, such as "2024-05-31 18:00": when each row was written down.',
    )


def _is_day_of(field: Field, other: Field) -> bool:
    """Whether a column holds only the days of another one's times."""
    return field.distinct < other.distinct and bool((field.values == other.values.dt.truncate("1d")).all())


def _lies_after(field: Field, moment: Field, share: float = 0.0) -> bool:
    """Whether a time lies after the moment in more than a share of the rows (0: in any but a stray one)."""
    both = field.values.is_not_null() & moment.values.is_not_null()
    after = (
        int(((field.values >= moment.values) & both).sum())
        if share
        else int(((field.values > moment.values) & both).sum())
    )
    return after >= share * int(both.sum()) if share else after > 0.01 * int(both.sum())


def _target(fields: Sequence[Field], moment: Field, wanted: str | None, guesses: list[str]) -> Field | None:
    possible = [field for field in fields if field.kind not in {Kind.TIME, Kind.TEXT} and field is not moment]
    if wanted is None:
        usual = [field for name in _USUAL_TARGETS for field in possible if field.name == name and field.distinct > 1]
        if usual:
            guesses.append(f"{usual[0].source!r} is taken to be what is to be predicted: choose another with --target.")
            return usual[0]
        guesses.append("No --target was named: what is predicted is how many rows come next.")
        return None
    chosen = _named(fields, wanted, "--target")
    if chosen not in possible:
        raise SourceError(
            "SOURCE_COLUMN",
            f"--target names {wanted!r}, which is {chosen.kind}: only numbers, yes/no and categories can be predicted.",
            exists=f"There is {_listed(possible)}.",
            fix="Name one of these.",
        )
    if chosen.distinct < 2:
        raise SourceError(
            "SOURCE_COLUMN",
            f"--target names {wanted!r}, which has one value alone: {chosen.raw.drop_nulls()[0]!r}.",
            fix="Bring rows with other values, or name another column.",
        )
    return chosen


def _key(
    fields: Sequence[Field], rows: int, moment: Field, outcome: Field, wanted: str | None, guesses: list[str]
) -> Field | None:
    unique = [field for field in fields if field.distinct == rows and field is not outcome and _can_be_key(field)]
    if wanted is not None:
        chosen = _named(fields, wanted, "--key")
        if chosen not in unique:
            raise SourceError(
                "SOURCE_COLUMN",
                f"--key names {wanted!r}, which does not identify a row: {chosen.distinct:,} values in {rows:,} rows.",
                exists=f"A row is identified by {_listed(unique)}."
                if unique
                else "No column has a value of its own in every row.",
                fix="Name one of these." if unique else "Leave --key out: the rows are numbered then.",
            )
        return chosen
    named = [field for field in unique if field.identifies]
    plain = [
        field
        for field in unique
        if field.kind is Kind.CATEGORY or (field.kind is Kind.INT and field.values.is_sorted())
    ]
    found = next(iter([*named, *plain, *(field for field in unique if field is moment)]), None)
    if found is None:
        guesses.append(
            "No column identifies a row, so the rows are numbered in the order of the file: append, never sort it."
        )
    elif not named:
        guesses.append(f"{found.source!r} is different in every row: it is taken to identify one.")
    return found


def _can_be_key(field: Field) -> bool:
    """Whether the file itself holds the column as text or whole numbers; a time that must be parsed first is neither."""
    return field.format is None and (field.raw.dtype == pl.String or field.raw.dtype.is_integer())


def _groups(inputs: Sequence[Field], rows: int) -> list[Field]:
    """The columns of names that most rows share with some others, those called an identifier first."""
    shared = [field for field in inputs if field.kind is Kind.CATEGORY and 2 <= field.distinct <= rows / 3]
    return sorted(shared, key=lambda field: (not field.identifies, -field.distinct))[:_MOST_GROUPS]


def _spans(moment: Field, guesses: list[str], *, counted: bool) -> tuple[int | None, int, list[int]]:
    """The regular step between rows if there is one, the lag of the outcome, and the windows worth looking back over."""
    instants = moment.values.drop_nulls().unique().sort().to_physical()
    history = int(instants[-1]) - int(instants[0])
    steps = instants.diff().drop_nulls()
    usual = int(steps.mode().sort()[0])
    step = usual if len(instants) >= 10 and (steps == usual).mean() >= 0.8 else None  # type: ignore[operator]
    lag = step
    if lag is None or 3 * lag > history:
        lag = max((span for span in _SPANS if span <= DAY and 20 * span <= history), default=max(history // 20, 1))
    if not counted:
        what = "one step after its row" if lag == step else "some time after its row"
        guesses.append(f"The outcome is taken to be known {what}: the file does not say when it was.")
    fitting = [span for span in _SPANS if 2 * lag <= span and 4 * span <= history]
    return step, lag, fitting[-3:] or [2 * lag]


def _positive(target: Field | None) -> str | int | float | None:
    """The rarer value of a target that has two and is not plainly yes or no."""
    if target is None or target.kind is Kind.BOOL or target.distinct != 2:
        return None
    values = target.values.alias("value").drop_nulls()
    value: str | int | float = values.value_counts(name="rows").sort("rows", "value")["value"][0]
    return value


def _listed(fields: Sequence[Field]) -> str:
    return ", ".join(field.source for field in fields) or "none"
