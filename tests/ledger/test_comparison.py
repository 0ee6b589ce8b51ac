from __future__ import annotations

from collections.abc import Callable

import msgspec
import pytest

from mainspring.ledger import Change, Comparison, Ledger, Run


def test_a_run_does_not_differ_from_itself(ledger: Ledger, write_run: Callable[..., Run]) -> None:
    run = write_run()
    same = ledger.compare(run.name, "latest")
    assert {metric.difference for metric in same.metrics} == {0.0}
    assert {metric.apart for metric in same.metrics} == {False, None}
    assert not same.features_added
    assert not same.features_removed
    assert same.features_changed == same.parameters == same.snapshots == same.settings == {}
    assert same.seconds == {"ingest": Change(1.5, 1.5), "fit": Change(2.0, 2.0)}


def test_two_runs_differ_in_what_was_changed_and_in_what_came_of_it(
    ledger: Ledger, write_run: Callable[..., Run]
) -> None:
    write_run(start=100, auc=0.70)
    write_run(start=200, auc=0.75, carrier="Flight.carrier.lower()")
    found = ledger.compare("flights-1", "flights-2")
    by_key = {(metric.scope, metric.name): metric for metric in found.metrics}
    assert by_key["test", "auc"].difference == pytest.approx(0.05)
    assert by_key["test", "auc"].apart is True
    assert by_key["slice:carrier=US", "auc"].apart is None  # no interval there
    assert (found.features_added, found.features_removed) == (["hour_200"], ["hour_100"])
    assert found.features_changed == {"carrier": Change("Flight.carrier", "Flight.carrier.lower()")}
    assert found.parameters == {"params.trees": Change(100, 200)}
    assert found.snapshots == {"Flight": Change(2**62 + 100, 2**62 + 200)}
    assert found.settings == {"as_of": Change(99, 199)}
    assert msgspec.json.decode(msgspec.json.encode(found), type=Comparison).parameters == found.parameters


def test_exchanging_the_runs_turns_every_difference_round(ledger: Ledger, write_run: Callable[..., Run]) -> None:
    write_run(start=100, auc=0.70)
    write_run(start=200, auc=0.75)
    there, back = ledger.compare("flights-1", "flights-2"), ledger.compare("flights-2", "flights-1")
    assert [metric.difference for metric in there.metrics] == [-(metric.difference or 0) for metric in back.metrics]
    assert there.features_added == back.features_removed
    assert there.parameters == {name: Change(change.second, change.first) for name, change in back.parameters.items()}


def test_a_run_without_a_model_can_be_compared(ledger: Ledger, write_run: Callable[..., Run]) -> None:
    whole = write_run()
    failed = ledger.start_run("flights", started_at=2_000_000, declaration="d2", version="0.1.0")
    found = ledger.compare(failed.name, whole.name)
    assert [(metric.first, metric.difference) for metric in found.metrics] == [(None, None)] * 3
    assert found.settings["decisions"] == Change(None, 10)
