"""Retraining: a window is chosen on labels that no model has seen and that do not judge; continuing learns what is new."""

import dataclasses

import numpy as np
import polars as pl
import pytest
from sklearn.linear_model import SGDClassifier
from sklearn.naive_bayes import BernoulliNB

import mainspring as ms
from mainspring.adaptation import retraining
from mainspring.adaptation.retraining import Past, continued, trained
from mainspring.errors import TrainingError
from mainspring.model.estimator import EstimatorPredictor, load_estimator
from mainspring.model.model import Model
from mainspring.training.dataset import Dataset
from tests.loop.deliveries import TURN, Order, dataset, instant, past, system

WINDOWS = ("4d", "12d", None)
AFTER, BEFORE = TURN + 14, TURN - 1  # days: long after what makes a delivery late turned round, and just before


def told(model: Model) -> dict[str, bytes]:
    return model.predictor.files()


def spoilt(rows: np.ndarray) -> Past:
    """The history with the labels of some rows turned round."""
    found = past()
    found.y = np.where(np.isin(np.arange(len(found.y)), rows), 1 - found.y, found.y)
    return found


def validation(day: float) -> tuple[np.ndarray, np.ndarray]:
    """The rows that choose at the beginning of a day, and those that judge."""
    found = past()
    judges = found.gate(instant(day))
    return found.gate(int(found.data.decided_at[judges[0]])), judges


@pytest.fixture(scope="module")
def chosen() -> retraining.Candidate:
    return trained(past(), instant(AFTER), WINDOWS)


def test_the_window_is_the_one_that_does_best_on_labels_nobody_has_seen(chosen: retraining.Candidate) -> None:
    assert list(chosen.windows) == list(WINDOWS)
    assert chosen.window == min(chosen.windows, key=chosen.windows.__getitem__)
    assert chosen.window != None  # noqa: E711  what was before the turn misleads
    assert chosen.evidence == {
        "window": chosen.window,
        "windows": {"4d": chosen.windows["4d"], "12d": chosen.windows["12d"], "all history": chosen.windows[None]},
    }
    assert trained(past(), instant(BEFORE), WINDOWS).window != "4d"  # nothing has turned: more rows teach more


def test_the_model_is_that_of_its_window(chosen: retraining.Candidate) -> None:
    """It learns from what is newer than the rows that chose, as with a window that is declared."""
    alone = trained(past(), instant(AFTER), chosen.window)
    assert told(alone.model) == told(chosen.model)
    assert (alone.judged_on == chosen.judged_on).all()
    assert (alone.window, alone.windows, alone.evidence) == (chosen.window, {}, {})


def test_the_same_history_chooses_the_same(chosen: retraining.Candidate) -> None:
    again = trained(past(), instant(AFTER), WINDOWS)
    assert (again.windows, again.window, told(again.model)) == (chosen.windows, chosen.window, told(chosen.model))
    # What happens later changes nothing.
    assert trained(past(AFTER + 1), instant(AFTER), WINDOWS).windows == chosen.windows


def test_the_rows_that_judge_take_no_part_in_the_choice(chosen: retraining.Candidate) -> None:
    choosing, judges = validation(AFTER)
    assert choosing[-1] < judges[0]
    assert trained(spoilt(judges), instant(AFTER), WINDOWS).windows == chosen.windows
    assert trained(spoilt(choosing), instant(AFTER), WINDOWS).windows != chosen.windows  # the probe can tell


def test_no_model_that_is_compared_has_seen_the_rows_that_choose(monkeypatch: pytest.MonkeyPatch) -> None:
    choosing, judges = validation(AFTER)
    seen = []

    def noted(*given, **options):
        found = train(*given, **options)
        seen.append(found)
        return found

    train = retraining.train
    monkeypatch.setattr(retraining, "train", noted)
    trained(past(), instant(AFTER), WINDOWS)
    assert len(seen) == len(WINDOWS) + 1
    for each in seen[:-1]:
        known = np.union1d(each.split.refit, each.split.train)
        assert known[-1] < choosing[0]
    assert seen[-1].split.refit[-1] == choosing[-1]  # the model that answers knows them
    assert seen[-1].split.refit[-1] < judges[0]


def test_a_window_that_holds_too_few_labels_is_left_out() -> None:
    found = trained(past(), instant(AFTER), ("1h", "8d"))
    assert list(found.windows) == ["8d"]
    assert found.window == "8d"
    with pytest.raises(TrainingError):
        trained(past(), instant(AFTER), ("1h", "2h"))


def test_a_window_of_the_training_stands_for_all_history() -> None:
    of = dataclasses.replace(system, training=ms.Training(calibration="none", window="8d"))
    assert list(trained(past(of=of), instant(AFTER), ("8d", None)).windows) == ["8d"]


# -- continuing ----------------------------------------------------------------------------------------------------------


def with_model(model: object, **training: object) -> Past:
    options = ms.Training(calibration="none", **training)
    return past(of=dataclasses.replace(system, model=model, training=options))


def stored(model: Model) -> Model:
    """The model as a bundle gives it back."""
    predictor = model.predictor
    assert isinstance(predictor, EstimatorPredictor)
    return dataclasses.replace(model, predictor=load_estimator(predictor.files()))


@pytest.mark.parametrize("loaded", [False, True])
def test_an_estimator_goes_on_with_what_is_new_also_when_it_was_stored(loaded: bool) -> None:
    of = with_model(SGDClassifier(loss="log_loss", random_state=0))
    first = trained(of, instant(30)).model
    before = told(first)
    again = continued(of, stored(first) if loaded else first, instant(30), instant(AFTER))
    assert told(first) == before  # the parent stays as it was
    by_hand = load_estimator(before)
    rows = np.flatnonzero(of.settled <= instant(AFTER))
    rows = rows[(rows >= of.gate(instant(30))[0]) & (rows < again.judged_on[0])]
    assert by_hand.encoder is not None
    by_hand.estimator.partial_fit(by_hand.encoder.encode(of.data.features[rows]), of.y[rows].astype(np.int64))
    judges = of.data.features[again.judged_on]
    assert (again.model.predict(judges) == by_hand.predict(judges)).all()
    y = of.y[again.judged_on]
    assert np.square(again.model.predict(judges) - y).mean() < np.square(first.predict(judges) - y).mean()


def test_a_model_that_went_on_has_the_form_in_onnx_of_what_it_is_now() -> None:
    of = with_model(SGDClassifier(loss="log_loss", random_state=0))
    first = trained(of, instant(30)).model
    again = continued(of, first, instant(30), instant(AFTER)).model
    forms = [each.predictor.files().get("model.onnx") for each in (first, again)]
    assert None not in forms
    assert forms[0] != forms[1]


def test_rows_teach_and_weigh_as_declared() -> None:
    of = with_model(BernoulliNB())
    first = trained(of, instant(30)).model
    plain = continued(of, first, instant(30), instant(AFTER)).model.predictor.estimator
    part = with_model(BernoulliNB(), where=Order.shop == "a")
    some = continued(part, first, instant(30), instant(AFTER)).model.predictor.estimator
    heavy = with_model(BernoulliNB(), class_weight={True: 9.0})
    late = continued(heavy, first, instant(30), instant(AFTER)).model.predictor.estimator
    before = first.predictor.estimator.class_count_
    assert 0 < (some.class_count_ - before).sum() < 0.5 * (plain.class_count_ - before).sum()
    assert (late.class_count_ - before)[1] > 1.5 * (plain.class_count_ - before)[1]


def test_where_nothing_is_new_the_model_stays() -> None:
    of = with_model(BernoulliNB())
    first = trained(of, instant(30))
    assert continued(of, first.model, instant(30), instant(30)).model is first.model


def test_a_class_that_nobody_knew_neither_teaches_nor_judges() -> None:
    """A label of another class than those known at the beginning has no number; it waits like one that is not known."""

    class Told(ms.Table):
        order_id = ms.Key()
        reason = ms.Category()
        at = ms.KnownAt()

    data = dataset()
    number = np.arange(data.labels.height)
    rare = (number % 50 == 49) & (data.decided_at > instant(25))
    names = np.where(rare, "rare", np.where(number % 2, "often", "common"))
    renamed = Dataset(**{**vars(data), "labels": data.labels.with_columns(label=pl.Series(names.tolist()))})
    label = ms.Label(Told.reason, by="order_id", within="6h")
    of = dataclasses.replace(system, label=label, objective=ms.Objective(), features={"size": Order.size})
    found = Past(of, renamed, instant(20))
    assert found.task.classes == ("common", "often")
    assert np.isnan(found.y).any()
    candidate = trained(found, instant(AFTER))
    assert not np.isnan(found.y[candidate.judged_on]).any()
