"""Time one answer: estimators of scikit-learn by themselves and by ONNX Runtime, LightGBM's own predictor and our compiled
trees; and many requests at once, one by one and in batches.

The same rows go both ways as plain values of 30 features, and are shown to answer alike before anything is timed. `peers`
of the estimators is the way by a frame, as `Model.predict` takes it; that of the trees is LightGBM's fast single-row
predictor, given a row that is encoded already. Microseconds a row, medians of 5; the last line on stdout is one JSON object.

    python benchmarks/inference.py
"""

from __future__ import annotations

import asyncio
import json
import os
import statistics
import sys
import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import polars as pl
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.neural_network import MLPClassifier

from mainspring.declare.estimator import LightGBM, Sklearn
from mainspring.model import CompiledModel, Model, compile_model, frame_of
from mainspring.model.onnx_form import TOLERANCE, with_onnx
from mainspring.serving.batching import MicroBatcher
from mainspring.training.fit import fit
from mainspring.training.task import Task

RUNS, ROWS, COLUMNS = 5, 5_000, 30
AT_ONCE = 64  # requests that come together
ESTIMATORS = {
    "RandomForestClassifier(200)": RandomForestClassifier(200, min_samples_leaf=20),
    "HistGradientBoostingClassifier": HistGradientBoostingClassifier(),
    "MLPClassifier": MLPClassifier((64,), max_iter=30),
}


def learned(spec: Any) -> tuple[Model, list[dict[str, float]], pl.DataFrame]:
    random = np.random.default_rng(0)
    values = random.normal(size=(ROWS, COLUMNS))
    rows = pl.DataFrame(values, schema=[f"x{k}" for k in range(COLUMNS)])
    y = random.random(ROWS) < 1 / (1 + np.exp(-values[:, :5].sum(axis=1)))
    model = fit(spec, rows, dict.fromkeys(rows.columns, "float"), y, Task(kind="binary"), threads=1)
    return model, rows.head(200).to_dicts(), rows


def microseconds(answer: Callable[[Any], Any], rows: list[Any], calls: int) -> float:
    """Return the median over runs of the time of one call."""
    times = []
    for _ in range(RUNS):
        begin = time.perf_counter()
        for number in range(calls):
            answer(rows[number % len(rows)])
        times.append((time.perf_counter() - begin) / calls * 1e6)
    return round(statistics.median(times), 1)


def compare(name: str, spec: Any) -> dict[str, Any]:
    plain, rows, frame = learned(spec)
    begin = time.perf_counter()
    made = with_onnx(plain, frame.head(2_000))
    seconds = time.perf_counter() - begin
    if made.predictor.onnx is None:
        raise SystemExit(f"{name} has no form in ONNX: {made.predictor.onnx_note}")
    ours, alone = compile_model(made), compile_model(plain)
    if np.abs(ours.predict_many(rows) - plain.predict(frame.head(200))).max() > TOLERANCE:
        raise SystemExit(f"{name} answers differently by ONNX")
    found = {
        "ours": microseconds(ours.predict_one, rows, 500),
        "peers": {
            "by a frame": microseconds(lambda row: plain.predict(frame_of([row], plain.schema)), rows, 30),
            "estimator without a frame": microseconds(alone.predict_one, rows, 30),
        },
        "batched": at_once(ours, rows),
        "estimator_batched": at_once(alone, rows),
        "convert_seconds": round(seconds, 2),
        "note": made.predictor.onnx_note,
    }
    return {**found, "ratio": round(found["peers"]["by a frame"] / found["ours"], 1)}


def at_once(model: CompiledModel, rows: list[Mapping[str, Any]]) -> dict[str, float]:
    """Return microseconds a request when `AT_ONCE` of them come together, one after the other and batched, and idle."""
    batcher = MicroBatcher(model)
    asked = rows[:AT_ONCE]

    async def together(_: Any) -> None:
        await asyncio.gather(*[batcher.predict_one(row) for row in asked])

    with asyncio.Runner() as runner:
        return {
            "one by one": round(
                microseconds(lambda some: [model.predict_one(r) for r in some], [asked], 2) / AT_ONCE, 1
            ),
            "batched": round(microseconds(lambda some: runner.run(together(some)), [asked], 5) / AT_ONCE, 1),
            "idle": microseconds(lambda row: runner.run(batcher.predict_one(row)), rows, 20),
        }


def trees() -> dict[str, Any]:
    spec = LightGBM(rounds=200, num_leaves=63, min_data_in_leaf=5)
    model, rows, _ = learned(spec)
    booster, ours = model.predictor.booster, compile_model(model)
    encoded = [model.schema.encode_for_trees(frame_of([row], model.schema)) for row in rows]
    native = [booster.predict(row, num_threads=1)[0] for row in encoded]
    if [ours.predict_one(row) for row in rows] != native:
        raise SystemExit("the compiled trees answer other bits than LightGBM")
    found = {
        "ours": microseconds(ours.predict_one, rows, 2_000),
        "peers": {"LightGBM, encoded": microseconds(lambda row: booster.predict(row, num_threads=1), encoded, 500)},
    }
    return {**found, "ratio": round(found["peers"]["LightGBM, encoded"] / found["ours"], 1)}


def main() -> None:
    load = round(os.getloadavg()[0], 2)
    results = {}
    for name, estimator in ESTIMATORS.items():
        results[name] = compare(name, Sklearn(estimator))
        print(name, results[name], file=sys.stderr)
    results["LightGBM 200 x 63 leaves x 30 features"] = trees()
    print(
        json.dumps(
            {
                "name": "inference",
                "unit": "microseconds a row",
                "results": results,
                "cores": len(os.sched_getaffinity(0)),
                "load_before": load,
            }
        )
    )


if __name__ == "__main__":
    main()
