"""Load for a server that is killed now and then: clients that never stop, and all that was acknowledged to them.

The facts, decisions and outcomes are those of the shop of the tests. Each client is a thread with a connection of its own;
what meets a dead server is sent again by `mainspring.Client`, under the same name, until somebody answers.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import mainspring
from mainspring.answers import Prediction
from mainspring.client.patience import Pace
from mainspring.errors import ClientError

__all__ = ["Load"]

_BEGIN = datetime(2024, 1, 29, 12, tzinfo=UTC)  # the end of the shop's history
_LATER = datetime(2024, 3, 1, tzinfo=UTC)  # a decision is made no later than when it is asked for
_TIMEOUT_SECONDS = 120.0
_RETRIES = 10_000
_CUSTOMERS = 23
_MOST_FACTS = 20  # in one request
_REFUSED_EACH = 5  # of so many questions one cannot be answered


class Load:
    """Clients that send facts, ask, ask for later, and tell outcomes, until they are told to stop.

    What is in these collections was acknowledged; a request that nobody ever answered is in `given_up`, which a sound run
    leaves at nothing.
    """

    def __init__(self, address: str, key: str, clients: int) -> None:
        self.facts: list[str] = []
        self.predictions: dict[str, Prediction] = {}
        self.changed: list[str] = []  # predictions that were told twice, and differently
        self.outcomes: list[tuple[str, bool]] = []
        self.questions: list[str] = []
        self.given_up: list[ClientError] = []
        self._seconds = 0
        self._guard = threading.Lock()
        self._stop = threading.Event()
        self._address, self._key = address, key
        self._threads = [threading.Thread(target=self._work, args=(number,), daemon=True) for number in range(clients)]
        for thread in self._threads:
            thread.start()

    def acknowledged(self) -> int:
        """Return how many facts, predictions, outcomes and questions were acknowledged so far."""
        return len(self.facts) + len(self.predictions) + len(self.outcomes) + len(self.questions)

    def stop(self) -> None:
        """Let every client have the answer to what it asked last."""
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _work(self, client: int) -> None:
        dice = random.Random(client)
        pace = Pace(luck=lambda: dice.random() / 20)  # be there again a moment after the server is
        http = mainspring.Client(
            self._address, self._key, timeout_seconds=_TIMEOUT_SECONDS, retries=_RETRIES, pace=pace
        )
        steps: list[Callable[[mainspring.Client, random.Random, str], None]] = [
            self._push,
            self._predict,
            self._predict_many,
            self._ask_later,
            self._tell,
        ]
        number = 0
        with http:
            while not self._stop.is_set():
                number += 1
                try:
                    dice.choice(steps)(http, dice, f"{client}-{number}")
                except ClientError as error:
                    self.given_up.append(error)

    def _push(self, client: mainspring.Client, dice: random.Random, name: str) -> None:
        rows = [
            {
                "order_id": f"r{name}-{place}",
                "customer": f"c{dice.randrange(_CUSTOMERS)}",
                "sent_back": dice.random() < 0.3,
                "known_at": self._next_instant(),
            }
            for place in range(dice.randint(1, _MOST_FACTS))
        ]
        client.push("return", rows)
        self.facts += [row["order_id"] for row in rows]

    def _predict(self, client: mainspring.Client, dice: random.Random, name: str) -> None:
        self._told(client.predict(_order(dice, f"n{name}")))

    def _predict_many(self, client: mainspring.Client, dice: random.Random, name: str) -> None:
        rows = [_order(dice, f"n{name}-{place}") for place in range(dice.randint(1, 8))]
        for answer in client.predict_many(rows):
            assert isinstance(answer, Prediction), answer
            self._told(answer)

    def _ask_later(self, client: mainspring.Client, dice: random.Random, name: str) -> None:
        refused = dice.randrange(_REFUSED_EACH) == 0
        row = _order(dice, f"n{name}") | ({"price": -1.0} if refused else {})
        self.questions.append(client.predict_later(row).prediction_id)

    def _tell(self, client: mainspring.Client, dice: random.Random, name: str) -> None:
        known = list(self.predictions)[-100:]
        labels = [(each, dice.random() < 0.5) for each in dice.sample(known, min(3, len(known)))]
        if labels:
            client.send_outcomes(labels)
            self.outcomes += labels

    def _told(self, answer: Prediction) -> None:
        with self._guard:
            if self.predictions.setdefault(answer.prediction_id, answer) != answer:
                self.changed.append(answer.prediction_id)

    def _next_instant(self) -> datetime:
        """One second after the last: the server's time is what the facts say, so it goes on, and features change."""
        with self._guard:
            self._seconds += 1
            return _BEGIN + timedelta(seconds=self._seconds)


def _order(dice: random.Random, name: str) -> dict[str, Any]:
    return {
        "order_id": name,
        "customer": f"c{dice.randrange(_CUSTOMERS)}",
        "article": dice.choice(["shoes", "socks"]),
        "price": dice.randrange(200) / 2,
        "ordered_at": _LATER,
    }
