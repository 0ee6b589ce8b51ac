from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy.exc import IntegrityError

from mainspring.errors import LedgerError
from mainspring.ledger import Artifact, Dataset, Ledger, Metric, Model, Run, Stage

few_examples = settings(
    max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], database=None
)
words = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=12)
instants = st.integers(-(2**62), 2**62)
figures = st.none() | st.floats(allow_nan=False, allow_infinity=False)
values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False) | words,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words, inner, max_size=3),
    max_leaves=5,
)


def start(ledger: Ledger, system: str = "flights", at: int = 0) -> Run:
    return ledger.start_run(system, started_at=at, declaration="d", version="0.1.0")


def dataset(run: Run, **changes: object) -> Dataset:
    record = Dataset(run=run.name, fingerprint="f", snapshots={}, decisions=1, labelled=1, features={})
    return msgspec.structs.replace(record, **changes)


def model(run: Run, **changes: object) -> Model:
    return msgspec.structs.replace(Model(run=run.name, id="m", dataset="f", estimator={}), **changes)


# Laws


@few_examples
@given(data=st.data())
def test_what_is_recorded_is_read_back_equal_and_recording_it_twice_is_recording_it_once(
    ledger: Ledger, data: st.DataObject
) -> None:
    run = start(ledger)
    given_dataset = data.draw(
        st.builds(
            Dataset,
            run=st.just(run.name),
            fingerprint=words,
            snapshots=st.dictionaries(words, st.integers(-(2**63), 2**63 - 1), max_size=3),
            decisions=st.integers(0, 2**62),
            labelled=st.integers(0, 2**62),
            features=st.dictionaries(words, words, max_size=3),
            path=st.none() | words,
        )
    )
    given_model = data.draw(
        st.builds(
            Model,
            run=st.just(run.name),
            id=words,
            dataset=st.just(given_dataset.fingerprint),
            estimator=st.dictionaries(words, values, max_size=3),
            calibration=words,
            threshold=figures,
            bundle=st.none() | words,
        )
    )
    given_metrics = data.draw(
        st.lists(
            st.builds(
                Metric,
                run=st.just(run.name),
                model=st.just(given_model.id),
                scope=words,
                name=words,
                value=figures,
                low=figures,
                high=figures,
            ),
            max_size=4,
            unique_by=lambda metric: (metric.scope, metric.name),
        )
    )
    artifact = data.draw(st.builds(Artifact, run=st.just(run.name), kind=words, path=words, sha256=words))
    for _ in range(2):
        ledger.record_dataset(given_dataset)
        ledger.record_model(given_model)
        ledger.record_metrics(given_metrics)
        ledger.record_artifact(artifact)
    assert ledger.datasets(run.name) == [given_dataset]
    assert ledger.models(run.name) == [given_model]
    assert ledger.metrics(run.name) == given_metrics  # in this order
    assert ledger.artifacts(run.name) == [artifact]
    assert msgspec.json.decode(msgspec.json.encode(given_model), type=Model) == given_model


@few_examples
@given(systems=st.lists(st.sampled_from(["a", "a-1", "b"]), min_size=1, max_size=6))
def test_names_count_the_runs_of_each_system_and_are_never_given_twice(
    tmp_path_factory: pytest.TempPathFactory, systems: list[str]
) -> None:
    ledger = Ledger(f"sqlite:///{tmp_path_factory.mktemp('names') / 'ledger.db'}")
    names = [start(ledger, system, at).name for at, system in enumerate(systems)]
    assert names == [f"{system}-{systems[: at + 1].count(system)}" for at, system in enumerate(systems)]
    assert len(set(names)) == len(names)


@few_examples
@given(starts=st.lists(instants, min_size=1, max_size=4), limit=st.none() | st.integers(1, 5))
def test_runs_come_newest_first_and_latest_is_the_first_of_them(
    tmp_path_factory: pytest.TempPathFactory, starts: list[int], limit: int | None
) -> None:
    ledger = Ledger(f"sqlite:///{tmp_path_factory.mktemp('runs') / 'ledger.db'}")
    for at in starts:
        start(ledger, at=at)
    listed = ledger.runs(limit)
    assert [run.started_at for run in listed] == sorted(starts, reverse=True)[:limit]
    assert ledger.run("latest") == listed[0]


@few_examples
@given(key=words, other=words, output=st.dictionaries(words, values, max_size=3))
def test_a_stage_is_found_by_its_key_and_by_no_other(
    ledger: Ledger, key: str, other: str, output: dict[str, object]
) -> None:
    stage = Stage(stage="features", key="k" + key, system="flights", output=output, path="datasets/x", created_at=1)
    ledger.record_stage(msgspec.structs.replace(stage, created_at=0))
    ledger.record_stage(stage)
    assert ledger.lookup("features", stage.key) == stage
    assert ledger.lookup("labels", stage.key) is None
    if other != key:
        assert ledger.lookup("features", "o" + other) is None


def test_another_ledger_at_the_same_address_reads_the_same(
    ledger: Ledger, write_run: Callable[..., Run], tmp_path: Path
) -> None:
    run = write_run()
    again = Ledger(f"sqlite:///{tmp_path / 'ledger.db'}")
    assert again.runs() == ledger.runs() == [run]
    assert again.metrics(run.name) == ledger.metrics(run.name)


# Cases


def test_a_run_that_ended_says_how(ledger: Ledger) -> None:
    names = [start(ledger, at=at).name for at in range(3)]
    finished = ledger.finish_run(names[0], ended_at=9, seconds={"b": 1.0, "a": 2.0}, reused=["b"])
    failed = ledger.fail_run(names[1], ended_at=8, code="DATA_ONE_CLASS", message="All labels are 1.")
    stopped = ledger.interrupt_run(names[2], ended_at=7)
    assert (finished.status, finished.ended_at, finished.reused) == ("finished", 9, ["b"])
    assert list(ledger.run(names[0]).seconds) == ["b", "a"]
    assert (failed.status, failed.error_code, failed.error_message) == ("failed", "DATA_ONE_CLASS", "All labels are 1.")
    assert stopped.status == "interrupted"
    assert ledger.runs() == [stopped, failed, finished]


def test_starting_a_run_interrupts_the_unfinished_ones_of_its_owner_only(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'ledger.db'}"
    here, elsewhere = Ledger(url, owner="here"), Ledger(url, owner="elsewhere")
    dead, alive = start(here), start(elsewhere)
    start(here, "other")
    assert here.run(dead.name).status == "interrupted"
    assert here.run(alive.name).status == "running"


def test_an_unfinished_run_without_a_living_writer_is_shown_as_interrupted_and_stored_as_it_was(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'ledger.db'}"
    run = start(Ledger(url, owner="here"))
    widowed = Ledger(url, owner="here", writer_alive=lambda: False)
    assert widowed.run(run.name).status == "interrupted"
    assert [shown.status for shown in widowed.runs()] == ["interrupted"]
    assert Ledger(url, owner="elsewhere", writer_alive=lambda: False).run(run.name).status == "running"
    assert Ledger(url, owner="here").run(run.name) == run


def test_what_could_not_be_computed_is_kept_as_none(ledger: Ledger) -> None:
    run = start(ledger)
    ledger.record_dataset(dataset(run))
    ledger.record_model(model(run))
    ledger.record_metrics(
        [Metric(run=run.name, model="m", scope="test", name="auc", value=math.nan, low=-math.inf, high=1.0)]
    )
    [metric] = ledger.metrics(run.name)
    assert (metric.value, metric.low, metric.high) == (None, None, 1.0)


def test_figures_are_kept_all_or_none_and_only_of_a_known_model(ledger: Ledger) -> None:
    run = start(ledger)
    ledger.record_dataset(dataset(run))
    ledger.record_model(model(run))
    known = Metric(run=run.name, model="m", scope="test", name="auc", value=0.5)
    with pytest.raises(IntegrityError):
        ledger.record_metrics([known, msgspec.structs.replace(known, model="no such model")])
    assert ledger.metrics(run.name) == []


def test_metrics_can_be_asked_for_by_scope(ledger: Ledger, write_run: Callable[..., Run]) -> None:
    run = write_run()
    assert [metric.name for metric in ledger.metrics(run.name, scope="test")] == ["auc", "ece"]


def test_a_run_is_found_by_name_unique_beginning_or_latest(ledger: Ledger) -> None:
    for at in range(12):
        start(ledger, at=at)
    start(ledger, "bikes", at=3)
    assert ledger.run("flights-1").number == 1  # the whole name wins over longer ones that begin with it
    assert ledger.run("bik").name == "bikes-1"
    assert ledger.run().name == "flights-12"
    assert [run.name for run in ledger.runs(system="bikes")] == ["bikes-1"]


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("flihgts-2", "No run is called 'flihgts-2'. There are for example: flights-2, "),
        ("xyz", "There are for example: flights-7, flights-6, flights-5, flights-4, flights-3, …."),
        ("flights", "'flights' begins the names of several runs. They are: flights-7, flights-6, "),
        ("", "No run is called ''."),
    ],
)
def test_an_unknown_run_names_those_that_may_be_meant(ledger: Ledger, name: str, said: str) -> None:
    for at in range(7):
        start(ledger, at=at)
    with pytest.raises(LedgerError) as raised:
        ledger.run(name)
    assert raised.value.code == "LEDGER_UNKNOWN_RUN"
    assert said in str(raised.value)
    with pytest.raises(LedgerError, match="LEDGER_UNKNOWN_RUN"):
        ledger.finish_run("flihgts-2", ended_at=1, seconds={})


def test_an_empty_ledger_says_so(ledger: Ledger) -> None:
    assert ledger.runs() == []
    with pytest.raises(LedgerError) as raised:
        ledger.run("latest")
    assert raised.value.code == "LEDGER_NO_RUNS"
