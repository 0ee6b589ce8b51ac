"""All features together: what no column shows is told, and what is usual is not."""

from __future__ import annotations

import numpy as np
import polars as pl

from mainspring.monitoring.domain_monitor import domain_reading

KINDS = {"here": "float", "there": "float", "other": "float"}


def rows(seed: int, together: float, level: float = 0.0, n: int = 1_000) -> pl.DataFrame:
    random = np.random.default_rng(seed)
    here, apart = random.normal(size=n), random.normal(size=n)
    there = together * here + np.sqrt(1 - together**2) * apart
    return pl.DataFrame({"here": here, "there": there, "other": random.normal(level, 1.0, n)})


def test_features_that_go_together_otherwise_are_named_though_each_is_as_it_was() -> None:
    told = domain_reading(rows(0, 0.95), rows(1, -0.95), KINDS)
    assert (told.monitor, told.kind, told.state) == ("domain", "features", "firing")
    assert "here" in told.told
    assert "there" in told.told


def test_rows_of_the_same_kind_are_not_told_apart() -> None:
    told = domain_reading(rows(0, 0.95), rows(2, 0.95), KINDS)
    assert told.state == "ok"
    assert told.value is not None
    assert told.value < 0.6


def test_what_was_told_apart_before_is_usual() -> None:
    learned, before, newest = rows(0, 0.0), rows(3, 0.0, level=2.0), rows(4, 0.0, level=2.0)
    assert domain_reading(learned, newest, KINDS).state == "firing"
    assert domain_reading(learned, newest, KINDS, before=before).state == "ok"


def test_few_rows_are_unknown() -> None:
    assert domain_reading(rows(0, 0.5), rows(1, 0.5, n=20), KINDS).state == "unknown"
