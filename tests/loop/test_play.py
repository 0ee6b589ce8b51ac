"""Play: a decision is asked for when everything that was known by its time has been sent, ties included."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from mainspring.answers import Prediction
from mainspring.clock import HOUR, MINUTE
from mainspring.loop.play import Score, play

BEGIN = 400_000 * HOUR
moments = st.integers(1, 90).map(lambda minutes: BEGIN + minutes * MINUTE)


class Client:
    """A server's clock and all that it was asked: it is as late as the newest fact says."""

    def __init__(self) -> None:
        self.sent: list[int] = []
        self.asked: list[tuple[int, int, int]] = []  # when it is due, the clock, and facts sent by then

    def rewind(self, to: Any) -> None:
        self.now = BEGIN

    def push(self, table: str, rows: Sequence[dict[str, int]]) -> None:
        self.sent += [row["at"] for row in rows]
        self.now = max(self.sent)

    def predict_many(self, rows: Sequence[dict[str, int]]) -> list[Prediction]:
        self.asked += [(row["due"], self.now, len(self.sent)) for row in rows]
        return [Prediction(prediction_id="p", decided_at="", model="m", arm="a")] * len(rows)


@given(
    st.lists(st.tuples(moments, st.sampled_from("abc")), min_size=1, max_size=40),
    st.lists(moments, max_size=20),
    st.sampled_from([60.0, 3600.0, 1e6]),
)
def test_a_decision_knows_all_facts_of_its_instant_and_is_not_asked_for_early(
    known: list[tuple[int, str]], due: list[int], speed: float
) -> None:
    facts = tuple((at, table, {"at": at}) for at, table in sorted(known))
    decisions = tuple((at, {"due": at}) for at in sorted(due))
    client: Any = Client()
    waited: list[float] = []
    played = play(Score(BEGIN, BEGIN + 2 * HOUR, facts, decisions), client, speed=speed, wait_until=waited.append)
    assert (played.facts, played.predictions, played.refused) == (len(facts), len(decisions), 0)
    assert client.sent == sorted(client.sent)
    assert [at for at, _, _ in client.asked] == sorted(due)
    for at, now, sent in client.asked:
        assert sent >= sum(each <= at for each in client.sent), "one of the same instant was yet to come"
        following = min((each for each in client.sent if each > at), default=None)
        assert now > at or following is None or following - at > 30 * MINUTE, "history passes it, unless by too much"
        assert now - at < HOUR, "a server answers late questions up to its grace"
    assert waited == sorted(waited)
