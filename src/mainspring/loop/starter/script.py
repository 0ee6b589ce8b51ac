"""The script: a draft written down as a system file, with a comment wherever its author must decide."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from textwrap import wrap

from mainspring.clock import DAY, format_span
from mainspring.declare import QUESTIONS, Kind
from mainspring.loop.starter.draft import Draft
from mainspring.loop.starter.survey import Field, names

__all__ = ["Origin", "script"]

_WIDTH = 116
_SMALL = 5_000  # rows
_FEW_VALUES = 20  # of a column worth slicing by


@dataclass(frozen=True, kw_only=True)
class Origin:
    """The file of data: its path as the system file will name it, how it is read, and how many rows it has."""

    path: str
    rows: int
    parquet: bool
    separator: str
    missing: Sequence[str]  # what stands for a missing value, besides what ms.csv takes as such anyway


def script(draft: Draft, origin: Origin, *, name: str, table: str) -> str:
    """Return the text of a system file called `name` whose rows are those of the table."""
    written = _Script(draft, origin, name, table)
    return "\n".join(written.lines()) + "\n"


class _Script:
    def __init__(self, draft: Draft, origin: Origin, name: str, table: str) -> None:
        self.draft, self.origin, self.name = draft, origin, name
        self.table, self.outcome = table, f"{table}Outcome"
        self.key = self.free("row_number") if draft.key is None else draft.key.name
        if draft.key is draft.time:  # the same column of the file twice: as what identifies a row and as a time
            self.key = self.free(f"{draft.time.name}_key")
        self.known_at = f"{self.table}.{draft.time.name}"

    def free(self, name: str) -> str:
        """A name that no column of the file has, in Python or in the file."""
        taken = {word for field in (*self.fields, *self.draft.later) for word in (field.name, field.source)}
        return next(name + "_" * number for number in range(len(taken) + 1) if name + "_" * number not in taken)

    def lines(self) -> Iterator[str]:
        draft = self.draft
        asked = f"what {_plain(draft.target.source)} will be" if draft.target else "how many rows come next"
        yield f'"""Predict {asked}. A starter written by `mainspring new` from {_plain(self.origin.path)}.'
        yield ""
        yield "It runs as it is, and it is a guess: read it from top to bottom and correct what the data could not tell."
        yield ""
        for guess in draft.guesses:
            yield from wrap(_plain(guess), _WIDTH, initial_indent="- ", subsequent_indent="  ")
        yield '"""'
        yield ""
        if self.reads_itself:
            yield "import pathlib"
            yield ""
            yield "import polars as pl"
            yield ""
        yield "import mainspring as ms"
        yield from self.rows()
        if draft.target is not None:
            yield from self.outcomes(draft.target)
        yield from self.system()
        yield from self.history()

    # -- tables ------------------------------------------------------------------------------------------------------

    def rows(self) -> Iterator[str]:
        draft = self.draft
        yield from ("", "", f"class {self.table}(ms.Table):")
        yield f'    """A row of {_plain(self.origin.path)}, as it is known when a decision is made."""'
        yield ""
        yield "    # Take out every column that is filled in, or changed, only after the decision: it would leak the answer."
        if draft.target is not None:
            yield self.key_line()
        for field in draft.inputs:
            yield _column(field)
        yield _time_line(draft.time, "ms.KnownAt", None)
        for field in draft.later:
            yield from _comment(
                f"{field.source} lies after {draft.time.source}, so it is not known then and left out.", "    "
            )

    def outcomes(self, target: Field) -> Iterator[str]:
        draft = self.draft
        yield from ("", "", f"class {self.outcome}(ms.Table):")
        yield f'    """What came of a row of {_plain(self.origin.path)}: known later, so kept apart from it."""'
        yield ""
        yield self.key_line()
        for field in draft.groups:
            yield _column(field)
        for field in draft.outcomes:
            yield from _comment(
                f"{field.source} gives {target.source} away, so it is taken to be known with it, not before.", "    "
            )
            yield _column(field)
        yield _column(target)
        yield from _comment(
            f"The lag is a guess. When is {target.source} known? A lag that is too short lets the model learn from answers "
            "that it could not have had; everything that is measured would look too good.",
            "    ",
        )
        if draft.later:
            later = ", ".join(field.source for field in draft.later)
            yield from _comment(
                f"If one of {later} says when: known_at = ms.KnownAt(source=...) without a lag.", "    "
            )
        yield _time_line(draft.time, "ms.KnownAt", format_span(draft.lag))

    def key_line(self) -> str:
        key = self.draft.key
        if key is None:
            return f"    {self.key} = ms.Key()"
        return f"    {self.key} = ms.Key({_source(key, self.key)})"

    # -- the system --------------------------------------------------------------------------------------------------

    def system(self) -> Iterator[str]:
        draft = self.draft
        lag = format_span(draft.lag)
        yield from ("", "", "system = ms.System(", f"    name={_quoted(self.name)},")
        yield '    # When is the prediction needed? Earlier than that: at=... - "2h"; on a schedule: every="1h".'
        yield f"    decision=ms.Decision({self.table}, at={self.known_at}),"
        if draft.target is None:
            yield f'    label=ms.Label({self.known_at}.count(over="{lag}"), within="{lag}"),'
        else:
            yield f'    label=ms.Label({self.label(draft.target)}, by="{self.key}", within="{lag}"),'
        yield "    features=dict("
        features = list(self.features())
        for (_, expression), name in zip(features, names(name for name, _ in features), strict=True):
            yield f"        {name}={expression},"
        yield "    ),"
        yield f"    model={self.model()},"
        yield "    objective=ms.Objective("
        yield f'        metric="{"rmse" if draft.task == "regression" else "log_loss"}",'
        if draft.task == "binary":
            yield "        # What is a decision worth? Then the threshold follows, and the report speaks in your currency:"
            yield '        # payoff=ms.Payoff(hit=4, miss=-6, false_alarm=-1, unit="EUR"),'
        elif draft.task == "regression":
            yield "        # What does an error cost? Then the report speaks in your currency:"
            yield '        # payoff=ms.ErrorCost(over=1, under=2, unit="EUR"),'
        slices = [f for f in draft.inputs if f.kind is Kind.CATEGORY and 2 <= f.distinct <= _FEW_VALUES]
        if slices:
            yield f"        slices=[{', '.join(f'{self.table}.{field.name}' for field in slices[:2])}],"
        yield "    ),"
        yield "    # The questions of a design. `mainspring check` lists those that are open."
        yield "    brief=ms.Brief("
        for question, words in QUESTIONS.items():
            yield f'        {question}="",  # {words}'
        yield "    ),"
        yield ")"

    def label(self, target: Field) -> str:
        column = f"{self.outcome}.{target.name}"
        positive = self.draft.positive
        if positive is None:
            return column
        return f"{column} == {_quoted(positive) if isinstance(positive, str) else repr(positive)}"

    def model(self) -> str:
        if self.origin.rows >= _SMALL:
            return "ms.LightGBM()"
        return "ms.LightGBM(rounds=150, num_leaves=15, min_data_in_leaf=20)"

    def features(self) -> Iterator[tuple[str, str]]:
        """Names, which may come twice, and expressions."""
        draft = self.draft
        for field in draft.inputs:
            if draft.usable(field):
                shown = f"{self.table}.{field.name}"
                yield (f"{field.name}_length", f"{shown}.length()") if field.kind is Kind.TEXT else (field.name, shown)
        yield from self.time_parts()
        spans = [format_span(span) for span in draft.windows]
        longest = spans[-1]
        if draft.step is None:
            for span in spans[:2]:
                yield f"rows_{span}", f'{self.known_at}.count(over="{span}")'
            for field in draft.groups:
                yield f"{field.name}_rows_{longest}", f'{self.known_at}.count(by="{field.name}", over="{longest}")'
        if draft.target is not None:
            yield from self.past_outcomes(draft.target, spans)

    def time_parts(self) -> Iterator[tuple[str, str]]:
        moments = self.draft.time.values.drop_nulls()
        span = int(moments.to_physical().max() or 0) - int(moments.to_physical().min() or 0)  # type: ignore[arg-type]
        if moments.dt.hour().n_unique() > 1:
            yield "hour", f"{self.known_at}.hour()"
        if span >= 7 * DAY:
            yield "weekday", f"{self.known_at}.weekday()"
        if span >= 400 * DAY:
            yield "month", f"{self.known_at}.month()"

    def past_outcomes(self, target: Field, spans: Sequence[str]) -> Iterator[tuple[str, str]]:
        """What came of earlier rows, as far as it was known by then."""
        column, longest = f"{self.outcome}.{target.name}", spans[-1]
        keys = [("", "")] + [(f"{field.name}_", f'by="{field.name}", ') for field in self.draft.groups]
        for prefix, by in keys:
            if self.draft.task == "multiclass":
                yield f"{prefix}last_{target.name}", f'{column}.latest({by}within="{longest}")'
                continue
            shown, statistic = (
                (f"({self.label(target)})", "share") if self.draft.positive is not None else (column, "mean")
            )
            if target.kind is Kind.BOOL:
                statistic = "share"
            yield f"{prefix}last_{target.name}", f'{shown}.latest({by}within="{longest}")'
            for span in spans if not by else spans[-1:]:
                yield f"{prefix}{target.name}_{span}", f'{shown}.{statistic}({by}over="{span}")'

    # -- history -----------------------------------------------------------------------------------------------------

    @property
    def reads_itself(self) -> bool:
        """Whether the file must be changed before it is what the tables declare."""
        return self.numbered or any(field.format for field in self.fields)

    @property
    def numbered(self) -> bool:
        return self.draft.key is None and self.draft.target is not None

    @property
    def fields(self) -> list[Field]:
        draft = self.draft
        named = [field for field in (draft.key, draft.target) if field is not None and field is not draft.time]
        return [*draft.inputs, *draft.outcomes, *named, draft.time]

    def history(self) -> Iterator[str]:
        tables = [self.table] if self.draft.target is None else [self.table, self.outcome]
        yield from ("", "")
        if not self.reads_itself:
            source = f"ms.parquet({_quoted(self.origin.path)})" if self.origin.parquet else self.csv()
            yield f"history = {{{', '.join(f'{table}: {source}' for table in tables)}}}"
            return
        yield "def history() -> dict[type[ms.Table], pl.DataFrame]:"
        yield '    """Read the file and make of it what the tables declare."""'
        yield f"    path = pathlib.Path(__file__).parent / {_quoted(self.origin.path)}"
        yield f"    rows = {self.polars()}"
        for field in self.fields:
            if field.format:
                yield f"    {field.name} = pl.col({_quoted(field.source)})"
                yield f"    rows = rows.with_columns({_parsed(field)})"
        if self.numbered:
            yield f'    rows = rows.with_row_index("{self.key}")'
        yield f"    return {{{', '.join(f'{table}: rows' for table in tables)}}}"

    def csv(self) -> str:
        given = [_quoted(re.sub(r"([*?[])", r"[\1]", self.origin.path))]
        if self.origin.separator != ",":
            given.append(f"separator={_quoted(self.origin.separator)}")
        if self.origin.missing:
            given.append(f"missing=({', '.join(map(_quoted, ('', 'NA', 'null', *self.origin.missing)))})")
        return f"ms.csv({', '.join(given)})"

    def polars(self) -> str:
        if self.origin.parquet:
            return "pl.read_parquet(path.read_bytes())"
        missing = ", ".join(map(_quoted, ("", "NA", "null", *self.origin.missing)))
        separator = "" if self.origin.separator == "," else f", separator={_quoted(self.origin.separator)}"
        return f"pl.read_csv(path.read_bytes(), infer_schema=False, null_values=[{missing}]{separator})"


def _column(field: Field) -> str:
    type_name = str(field.kind).capitalize()
    options = [_source(field, field.name)]
    if field.kind is Kind.TIME and field.naive:
        options.append('zone="UTC"')
    if field.missing:
        options.append("optional=True")
    return f"    {field.name} = ms.{type_name}({', '.join(filter(None, options))}){_remark(field)}"


def _time_line(field: Field, type_name: str, lag: str | None) -> str:
    options = [_source(field, field.name), 'zone="UTC"' if field.naive else "", f'lag="{lag}"' if lag else ""]
    remarks = []
    if field.naive:
        remarks.append("the file names no zone, UTC is a guess")
    if field.missing:
        remarks.append(f"{field.missing:,} rows have none and go to quarantine")
    remark = f"  # {'; '.join(remarks)}" if remarks else ""
    return f"    {field.name} = {type_name}({', '.join(filter(None, options))}){remark}"


def _remark(field: Field) -> str:
    """What a reader should know of a column before he trusts it."""
    told = []
    if field.unread:
        told.append(f"{field.unread:,} values are none and go to quarantine, with their rows")
    if field.distinct == 1:
        told.append("one value alone: no feature")
    elif field.kind is Kind.CATEGORY and field.distinct > 100:
        told.append(f"{field.distinct:,} values: too many for a feature of its own")
    elif field.kind is Kind.CATEGORY:
        told.append(f"{field.distinct} values")
    return f"  # {'; '.join(told)}" if told else ""


def _parsed(field: Field) -> str:
    """The Polars expression that reads a time which is not ISO 8601 from a column called as the field."""
    format = str(field.format)
    if format.startswith("epoch "):
        unit = format.removeprefix("epoch ")
        return (
            f'pl.from_epoch({field.name}.cast(pl.Int64, strict=False), time_unit="{unit}").dt.replace_time_zone("UTC")'
        )
    return f'{field.name}.str.to_datetime({_quoted(format)}, time_unit="us", strict=False)'


def _source(field: Field, name: str) -> str:
    return "" if field.source == name else f"source={_quoted(field.source)}"


def _comment(text: str, indent: str) -> Iterator[str]:
    for line in wrap(_plain(text), _WIDTH - len(indent)):
        yield f"{indent}# {line}"


def _plain(text: str) -> str:
    """Text from a file as it may stand in a comment or a docstring."""
    return " ".join(text.replace("\\", "/").replace('"', "'").split())


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)
