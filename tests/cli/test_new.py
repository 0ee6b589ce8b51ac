"""new: a starter for any shape of file passes its own check, runs, and lets the outcome leak nowhere."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from mainspring.declare import Aggregate, Column, Expression
from mainspring.loop import load_system
from tests.cli.conftest import Command

START = datetime(2024, 3, 20)  # noqa: DTZ001  # many files say no zone
DICE = random.Random(0)


@dataclass(frozen=True)
class Shape:
    """A file of data, the options that go with it, and what the starter must have made of it."""

    frame: pl.DataFrame
    options: tuple[str, ...] = ()
    file: str = "data.csv"
    separator: str = ","
    words: tuple[str, ...] = ()
    task: str = "regression"
    leaks: tuple[str, ...] = field(default=())  # columns that give the target away

    def write(self, folder: Path) -> Path:
        """Write the file."""
        path = folder / self.file
        if path.suffix == ".parquet":
            self.frame.write_parquet(path)
        else:
            self.frame.write_csv(path, separator=self.separator)
        return path


def bikes(rows: int = 600) -> pl.DataFrame:
    """An hourly table: who rented, and how many together."""
    hours = [START + timedelta(hours=i) for i in range(rows)]
    casual = [DICE.randint(0, 9) + (hour.hour > 12) * 5 for hour in hours]
    registered = [DICE.randint(0, 50) + hour.hour for hour in hours]
    return pl.DataFrame(
        {
            "datetime": [f"{hour:%Y-%m-%d %H:%M:%S}" for hour in hours],
            "weather": [DICE.randint(1, 4) for _ in hours],
            "temp": [round(DICE.gauss(15, 5), 1) for _ in hours],
            "casual": casual,
            "registered": registered,
            "count": [a + b for a, b in zip(casual, registered, strict=True)],
        }
    )


def orders(rows: int = 400) -> pl.DataFrame:
    """Events with ids and zoned times; the reason is known only where the answer is yes."""
    articles = [DICE.choice(["shoes", "socks", "hats"]) for _ in range(rows)]
    returned = [article == "shoes" and DICE.random() > 0.4 for article in articles]
    return pl.DataFrame(
        {
            "order_id": [f"o-{i:05d}" for i in range(rows)],
            "customer_id": [DICE.randint(1, 40) for _ in range(rows)],
            "article": articles,
            "price": [round(DICE.uniform(1, 99), 2) for _ in range(rows)],
            "ordered_at": [
                (START + timedelta(minutes=97 * i + DICE.randint(0, 60))).isoformat() + "Z" for i in range(rows)
            ],
            "shipped_at": [(START + timedelta(minutes=97 * i + 2000)).isoformat() + "Z" for i in range(rows)],
            "returned": ["yes" if back else "no" for back in returned],
            "reason": ["too small" if back else None for back in returned],
        }
    )


def ugly(rows: int = 300) -> pl.DataFrame:
    """Names no Python file can have, American times, question marks for what is missing, leading zeros."""
    return pl.DataFrame(
        {
            "Date Time": [f"{START + timedelta(hours=5 * i):%m/%d/%Y %I:%M %p}" for i in range(rows)],
            "class": [DICE.choice(["A", "b", "C D"]) for _ in range(rows)],
            "Class": ["same"] * rows,
            "2nd Value": [i % 7 for i in range(rows)],
            "ms": ["?" if i % 11 == 0 else f"{DICE.gauss(0, 1):.3f}" for i in range(rows)],
            "Größe?": [DICE.choice(["true", "false"]) for _ in range(rows)],
            "zip": [f"{DICE.randint(0, 60):05d}" for _ in range(rows)],
            'Say "result"': [DICE.choice(["bad", "ok", "ok"]) for _ in range(rows)],
        }
    )


def readings(rows: int = 300) -> pl.DataFrame:
    """A sensor's log with seconds since 1970."""
    return pl.DataFrame(
        {
            "timestamp": [1_700_000_000 + 780 * i for i in range(rows)],
            "sensor": [DICE.choice("abc") for _ in range(rows)],
            "reading": [DICE.gauss(0, 1) + i % 5 for i in range(rows)],
        }
    )


def tickets(rows: int = 300) -> pl.DataFrame:
    """Dates alone, many on one day, free text, three classes, in the types of a Parquet file."""
    return pl.DataFrame(
        {
            "opened": [(START + timedelta(days=i // 3)).date() for i in range(rows)],
            "team": pl.Series([DICE.choice("xyz") for _ in range(rows)]).cast(pl.Categorical),
            "words": [f"a text about thing {i} that goes on for quite a while" for i in range(rows)],
            "tags": [["one"]] * rows,
            "hours": [None if i % 9 == 0 else float(i % 4) for i in range(rows)],
            "priority": [DICE.choice(["low", "mid", "high"]) for _ in range(rows)],
        }
    )


def clicks(rows: int = 400) -> pl.DataFrame:
    """Events of which nothing is to be predicted but how many come."""
    return pl.DataFrame(
        {
            "user": [f"u{DICE.randint(1, 30)}" for _ in range(rows)],
            "at": [(START + timedelta(seconds=1000 * i + DICE.randint(0, 900))).isoformat() for i in range(rows)],
        }
    )


SHAPES = {
    "bikes": Shape(
        bikes(), words=('ms.Key(source="datetime")', 'zone="UTC", lag="1h"'), leaks=("casual", "registered", "count")
    ),
    "orders": Shape(
        orders(),
        options=("--target", "returned", "--time", "ordered_at"),
        words=("order_id = ms.Key()", "# shipped_at lies after ordered_at", 'share(by="customer_id"'),
        task="binary",
        leaks=("returned", "reason", "shipped_at"),
    ),
    "ugly names": Shape(
        ugly(),
        options=("--target", 'Say "result"'),
        file="2024 Ugly [1].csv",
        separator=";",
        words=('class_ = ms.Category(source="class")', 'ms_ = ms.Float(source="ms", optional=True)', "zip = ms.Category()",
               'column_2nd_value = ms.Int(source="2nd Value")', '"%m/%d/%Y %I:%M %p"', '== "bad"'),
        task="binary",
        leaks=('Say "result"', 'Say ""result""'),
    ),
    "seconds since 1970": Shape(
        readings(), options=("--target", "reading"), words=('time_unit="s"', 'lag="13m"'), leaks=("reading",)
    ),
    "parquet": Shape(
        tickets(),
        options=("--target", "priority"),
        file="tickets.parquet",
        words=("words_length=Tickets.words.length()", "hours = ms.Int(optional=True)", "row_number"),
        task="multiclass",
        leaks=("priority",),
    ),
    "nothing to predict": Shape(clicks(), words=('.count(over="',)),
}  # fmt: skip


@pytest.mark.parametrize("name", SHAPES)
def test_a_starter_passes_its_check_runs_and_leaks_nothing(mainspring: Command, tmp_path: Path, name: str) -> None:
    shape = SHAPES[name]
    (tmp_path / "data").mkdir()
    written = mainspring("new", "starter.py", "--from", shape.write(tmp_path / "data"), *shape.options, "--json")
    assert written.code == 0, written.err
    text = (tmp_path / "starter.py").read_text(encoding="utf-8")
    for words in shape.words:
        assert words in text
    assert max(len(line) for line in text.splitlines()) <= 136

    system = load_system(tmp_path / "starter.py").system
    assert written.document["task"] == system.label.task == shape.task
    assert_nothing_leaks(system.decision.table, list(system.features.values()), shape.leaks)

    checked = mainspring("check", "starter.py", "--json")
    assert checked.code == 0, checked.out
    assert [found["code"] for found in checked.document] == ["open-question"]
    ran = mainspring("run", "starter.py", "--json")
    assert ran.code == 0, ran.err
    assert ran.document["decisions"] == shape.frame.height
    assert not [
        finding
        for finding in ran.document["leakage"]
        if (finding["kind"], finding["severity"]) == ("too_good_alone", "error")
    ]


def assert_nothing_leaks(rows: type, features: list[Expression], leaks: tuple[str, ...]) -> None:
    """No column that tells the outcome is known with the decision's row, nor read but through a window of past outcomes."""
    columns = {column.source or column.name for column in rows.__schema__.columns}  # type: ignore[attr-defined]
    assert not columns & set(leaks)
    for feature in features:
        for column in outside_windows(feature):
            assert column.table is rows


def outside_windows(expression: Expression) -> Iterator[Column]:
    """The columns of the decision's own row in an expression."""
    if isinstance(expression, Column):
        yield expression
    elif not isinstance(expression, Aggregate):
        for child in expression.children:
            yield from outside_windows(child)


def csv(folder: Path, text: str) -> Path:
    """Write a small file."""
    path = folder / "data.csv"
    path.write_text(text, encoding="utf-8")
    return path


TIMES = "".join(f"2024-01-{1 + i // 24:02d} {i % 24:02d}:00,{2024 + i % 3}-01-01,{i},{i % 2}\n" for i in range(60))
REFUSED = {
    "no time": ("a,b\n1,2\n3,4\n", [], "SOURCE_TIME", "No column tells when a row was known, and without that nobody can say"),
    "several times": (
        "here,there,x,y\n" + TIMES, [], "SOURCE_TIME",
        "Several columns hold times, and none of them is plainly the one that tells when a row was known: here, there.",
    ),
    "one moment": (
        "t,x\n" + "2024-01-01,1\n" * 3, [], "SOURCE_TIME", "Every row has the same time in 't': nothing can be learnt",
    ),
    "regular rows and no target": (
        "t,u,x,z\n" + TIMES, ["--time", "t"], "SOURCE_COLUMN", "No --target was named, and how many rows come next is no question",
    ),
    "an unknown target": (
        "t,x\n2024-01-01,1\n2024-01-02,1\n", ["--target", "z"], "SOURCE_COLUMN", "--target names 'z', which the file does not have.",
    ),
    "a time that is none": ("t,x\n2024-01-01,1\n", ["--time", "x"], "SOURCE_COLUMN", "--time names 'x', which holds no times: it"),
    "a target of one value": (
        "t,x\n2024-01-01,1\n2024-01-02,1\n", ["--target", "x"], "SOURCE_COLUMN", "--target names 'x', which has one value alone: '1'.",
    ),
    "a key that repeats": (
        "t,k,x\n2024-01-01,1,1\n2024-01-02,1,2\n", ["--target", "x", "--key", "k"], "SOURCE_COLUMN",
        "--key names 'k', which does not identify a row: 1 values in 2 rows.",
    ),
    "an empty file": ("", [], "SOURCE_EMPTY", "data.csv has no rows."),
    "a header alone": ("t,x\n", [], "SOURCE_EMPTY", "data.csv has no rows."),
}  # fmt: skip


@pytest.mark.parametrize("what", REFUSED)
def test_what_cannot_be_guessed_is_asked_for(mainspring: Command, tmp_path: Path, what: str) -> None:
    text, options, code, words = REFUSED[what]
    csv(tmp_path, text)
    told = mainspring("new", "starter.py", "--from", "data.csv", *options)
    assert told.code == 1
    assert told.err.startswith(words)
    assert told.err.endswith(f"[{code}]\n")
    assert not (tmp_path / "starter.py").exists()


def test_a_file_is_overwritten_only_by_force(mainspring: Command, tmp_path: Path) -> None:
    data = SHAPES["bikes"].write(tmp_path)
    (tmp_path / "starter.py").write_text("mine")
    told = mainspring("new", "starter.py", "--from", data)
    assert told.code == 1
    assert told.err.startswith("starter.py exists already.\n")
    assert (tmp_path / "starter.py").read_text() == "mine"
    assert mainspring("new", "starter.py", "--from", data, "--force").code == 0
    assert mainspring("new", "no/such/starter.py", "--from", data).err.endswith("[DECLARE_FILE]\n")
    assert mainspring("new", "other.py", "--from", "none.csv").err.startswith("There is no file none.csv.\n")


def test_the_obvious_time_is_chosen_and_said(mainspring: Command, tmp_path: Path) -> None:
    rows = "".join(f"2024-01-{i + 1:02d}T00:00Z,2024-01-{i + 3:02d}T00:00Z,{i % 2}\n" for i in range(20))
    csv(tmp_path, "placed,delivered,y\n" + rows)
    told = mainspring("new", "starter.py", "--from", "data.csv", "--json").document
    assert told["time"] == "placed"
    assert "'placed' is taken to tell when a row was known, and not delivered." in told["guesses"]
    assert "delivered lies after placed" in (tmp_path / "starter.py").read_text()
