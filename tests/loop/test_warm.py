"""What a first run would wait for is made beside it, and a run that ends early takes it along."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from mainspring.loop import warm


@pytest.fixture
def cold(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[object]]:
    """Nothing is ready; the processes that were started are listed."""
    started: list[object] = []
    original = warm.subprocess.Popen

    def start(*arguments: object, **options: object) -> object:
        started.append(original(*arguments, **options))  # type: ignore[call-overload]
        return started[-1]

    monkeypatch.setattr(warm, "_is_ready", lambda: False)
    monkeypatch.setattr(warm.subprocess, "Popen", start)
    yield started
    for process in started:
        process.kill()  # type: ignore[attr-defined]


def test_a_warm_machine_starts_nothing(cold: list[object], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(warm, "_is_ready", lambda: True)
    with warm.warming():
        pass
    assert cold == []


def test_the_end_waits_for_the_kernels_of_features(cold: list[object], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(warm, "_COMMAND", "import time; time.sleep(0.5); print('features', flush=True); time.sleep(60)")
    begin = time.perf_counter()
    with warm.warming():
        pass
    assert 0.4 < time.perf_counter() - begin < 30
    assert cold[0].poll() is None  # type: ignore[attr-defined]


def test_a_process_that_fails_holds_nothing_up(cold: list[object], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(warm, "_COMMAND", "raise SystemExit(1)")
    with warm.warming():
        pass


def test_an_error_inside_ends_it(cold: list[object], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(warm, "_COMMAND", "import time; time.sleep(60)")
    with pytest.raises(KeyboardInterrupt), warm.warming():
        raise KeyboardInterrupt
    assert cold[0].wait(10) != 0  # type: ignore[attr-defined]


def test_everything_can_be_made_ready(capsys: pytest.CaptureFixture[str]) -> None:
    warm.make_ready()
    assert capsys.readouterr().out == "features\n"
