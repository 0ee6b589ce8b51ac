"""Time the online state: facts taken in a second, and one decision answered, with the 39 features of benchmarks/features.py.

The peer is what one would do without a state: compute the features of one decision in batch from all facts. Before anything
is timed, 2,000 decisions are answered both ways and shown to be equal to the bit. Medians of 5; the last line on stdout is
one JSON object.

    python benchmarks/online.py
"""

from __future__ import annotations

import json
import os
import statistics
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).with_name("contenders")))

from features_mainspring import FEATURES

import flights
from mainspring.features import compute, plan
from mainspring.features.online import OnlineState
from mainspring.features.online.verify import plain_rows, verify_online

RUNS = 5
ASKED = 20_000


def main() -> None:
    load = round(os.getloadavg()[0], 2)
    tables = flights.load()
    facts = {
        "departure": tables.departures.with_columns(left_at="known_at", _visible_at="known_at"),
        "arrival": tables.arrivals.with_columns(landed_at="known_at", _visible_at="known_at"),
        "weather": tables.weather.with_columns(published="known_at", _visible_at="known_at"),
    }
    decisions = tables.decisions.rename({"time": "_at"}).sort("_at")
    work = plan(FEATURES)
    some = decisions.tail(2_000)
    found = verify_online(work, some, compute(work, some, facts), facts)
    if found.different or found.inexact:
        raise SystemExit(f"online differs from batch: {found}")
    rows = sum(frame.height for frame in facts.values())
    taken, answered, alone = [], [], []
    for _ in range(RUNS):
        state = OnlineState(work)
        begin = time.perf_counter()
        for name, frame in facts.items():
            state.add(name, frame)
        taken.append(rows / (time.perf_counter() - begin))
        asked = list(plain_rows(decisions.tail(ASKED)))
        begin = time.perf_counter()
        for row in asked:
            state.answer(row)
        answered.append((time.perf_counter() - begin) / len(asked))
        begin = time.perf_counter()
        compute(work, decisions.tail(1), facts)
        alone.append(time.perf_counter() - begin)
    ours, peer = statistics.median(answered), statistics.median(alone)
    print(
        json.dumps(
            {
                "name": "online",
                "features": len(FEATURES),
                "facts": rows,
                "facts_per_second": round(statistics.median(taken)),
                "ours": round(ours, 7),
                "peers": {"batch of one decision": round(peer, 4)},
                "ratio": round(peer / ours, 1),
                "cores": len(os.sched_getaffinity(0)),
                "load_before": load,
            }
        )
    )


if __name__ == "__main__":
    main()
