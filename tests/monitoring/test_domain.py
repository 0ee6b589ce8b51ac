from __future__ import annotations

import msgspec
import numpy as np
import polars as pl
import pytest
from sklearn.metrics import roc_auc_score

from mainspring.errors import BundleError
from mainspring.monitoring.domain import Domains, _area, tell_apart
from mainspring.monitoring.drift import compare
from mainspring.monitoring.sketch import Sketch

KINDS = {"x": "float", "y": "float", "flag": "bool", "name": "category"}


def world(rows: int, draw: np.random.Generator, together: bool = True) -> pl.DataFrame:
    x = draw.normal(size=rows)
    y = x if together else draw.permutation(x)
    names = np.array(["a", "b", "c", "d"])
    return pl.DataFrame(
        {
            "x": x,
            "y": y + 0.3 * draw.normal(size=rows),
            "flag": draw.random(rows) < 0.5,
            "name": names[draw.integers(0, 4, rows)],
        }
    )


# Laws


def test_rows_without_drift_are_rarely_told_apart() -> None:
    draw = np.random.default_rng(0)
    found = [tell_apart(world(150, draw), world(100, draw), KINDS) for _ in range(40)]
    answers = [each for each in found if each is not None]
    assert len(answers) == 40
    assert sum(each.apart for each in answers) <= 2
    assert np.mean([each.auc for each in answers]) == pytest.approx(0.5, abs=0.02)
    assert all(each.giveaways == () for each in answers if not each.apart)


def test_columns_that_no_longer_go_together_are_found_though_none_has_moved() -> None:
    draw = np.random.default_rng(1)
    before, now = world(2_000, draw), world(2_000, draw, together=False)
    reference = Sketch.over(before, KINDS)
    assert not any(drift.drifted for drift in compare(reference, Sketch.empty(reference.layout).add(now)))
    found = tell_apart(before, now, KINDS)
    assert found is not None
    assert found.apart
    assert found.auc > 0.75
    assert {each.name for each in found.giveaways[:2]} == {"x", "y"}
    assert all(one.auc_lost >= other.auc_lost for one, other in zip(found.giveaways, found.giveaways[1:], strict=False))


def test_the_same_rows_and_seed_give_the_same_answer() -> None:
    draw = np.random.default_rng(2)
    before, now = world(600, draw), world(500, draw, together=False)
    found = tell_apart(before, now, KINDS, rows=300, seed=4)
    assert found == tell_apart(before, now, KINDS, rows=300, seed=4)
    assert found is not None
    assert (found.rows_before, found.rows) == (300, 300)
    assert msgspec.json.decode(msgspec.json.encode(found), type=Domains) == found


def test_the_area_is_that_of_scikit_learn_and_its_variance_that_of_many_samples() -> None:
    draw = np.random.default_rng(3)
    areas, variances = [], []
    for _ in range(400):
        is_now = np.repeat([False, True], [60, 40])
        scores = (draw.normal(size=100) + is_now).round(1)
        area, variance = _area(scores, is_now)
        assert area == pytest.approx(roc_auc_score(is_now, scores))
        areas.append(area)
        variances.append(variance)
    assert np.mean(variances) == pytest.approx(np.var(areas), rel=0.2)


# Cases


def test_a_name_that_was_never_there_gives_itself_away() -> None:
    draw = np.random.default_rng(4)
    before, now = world(500, draw), world(500, draw).with_columns(name=pl.lit("new"), y=pl.lit(None))
    found = tell_apart(before, now, KINDS)
    assert found is not None
    assert found.auc > 0.99
    assert found.giveaways[0].name in ("name", "y")


def test_too_few_rows_are_not_judged_and_absent_features_are_named() -> None:
    draw = np.random.default_rng(5)
    assert tell_apart(world(49, draw), world(500, draw), KINDS) is None
    with pytest.raises(BundleError, match="no column name"):
        tell_apart(world(100, draw).drop("name"), world(100, draw).drop("name"), KINDS)
