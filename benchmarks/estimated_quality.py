"""Estimate quality before labels from 1,000,000 predictions, with Mainspring and with NannyML, on the same rows in one run.

Both expect ROC AUC, average precision, accuracy, precision, recall, specificity, F1, the four cells of the confusion matrix
and the payoff, with an interval each: `ours` by `estimate`, `peers` by NannyML's `CBPE.estimate` on a data frame that it was
given beforehand, fitted on a reference of its own, with no calibrator to run. `every_figure` is our time when log loss and
Brier are asked for too, which NannyML does not have. `bare_auc` compares formulas alone: our ROC AUC, which comes with its
interval, and NannyML's `estimate_roc_auc`, which has none. The two run in turn, each in a process of its own. Answers are
compared; a difference of more than 1e-6 of a figure stops the run. The last line on stdout is one JSON object.

    python benchmarks/estimated_quality.py --peer-python .venv-bench-monitoring/bin/python

where that environment has `pip install nannyml==0.13.1 statsmodels`.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

ROWS, REFERENCE_ROWS, RUNS = 1_000_000, 50_000, 5
THRESHOLD = 0.3
HIT, MISS, FALSE_ALARM, CORRECT_REJECTION = 4.0, -3.0, -3.0, 0.0  # acting pays from the threshold on
SAME = 1e-6


def predictions() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Probabilities to judge, and probabilities and labels of a reference that they hold on."""
    random = np.random.default_rng(0)
    p, reference = random.beta(2, 8, ROWS), random.beta(2, 8, REFERENCE_ROWS)
    return p, reference, (random.random(REFERENCE_ROWS) < reference) * 1.0


class Mainspring:
    """Ours: the check on labels is made beforehand, as fitting is with the peer."""

    def __init__(self, folder: Path) -> None:
        import mainspring as ms
        from mainspring.monitoring.calibration_check import check_calibration
        from mainspring.monitoring.estimated import estimate
        from mainspring.monitoring.estimated_kernels import expected_auc
        from mainspring.monitoring.realised import figures_of

        worth = ms.Payoff(hit=HIT, miss=MISS, false_alarm=FALSE_ALARM, correct_rejection=CORRECT_REJECTION)
        self.figures = figures_of("binary", ms.Objective(payoff=worth))
        self.p, reference, labels = (np.load(folder / f"{name}.npy") for name in ("p", "reference", "labels"))
        self.calibration = check_calibration(reference, labels)
        self._estimate, self._auc = estimate, expected_auc

    def estimate(self, *figures: str) -> dict[str, float]:
        asked = {name: self.figures[name] for name in figures or ("payoff",)}
        found = self._estimate(self.p, self.calibration, figures=asked, threshold=THRESHOLD)
        return {name: each.value for name, each in found.items() if hasattr(each, "value")}

    def every_figure(self) -> dict[str, float]:
        return self.estimate(*self.figures)

    def bare(self) -> dict[str, float]:
        return {"auc": self._auc(np.sort(self.p))[0]}


class NannyML:
    """The peer, asked for the same in its own words."""

    def __init__(self, folder: Path) -> None:
        os.environ["NML_DISABLE_USAGE_LOGGING"] = "1"  # it would tell its makers of every call
        import nannyml
        import pandas
        from nannyml.calibration import NoopCalibrator
        from nannyml.performance_estimation.confidence_based.metrics import estimate_roc_auc

        p, reference, labels = (np.load(folder / f"{name}.npy") for name in ("p", "reference", "labels"))
        self.frame = pandas.DataFrame({"p": p, "acted": (p >= THRESHOLD) * 1})
        self.cbpe = nannyml.CBPE(
            metrics=[
                *("roc_auc", "average_precision", "accuracy", "precision", "recall", "specificity", "f1"),
                *("confusion_matrix", "business_value"),
            ],
            y_pred_proba="p",
            y_pred="acted",
            y_true="y",
            problem_type="classification_binary",
            chunk_size=ROWS,
            calibrator=NoopCalibrator(),  # the probabilities are right, and a calibrator would only take time
            business_value_matrix=[[CORRECT_REJECTION, FALSE_ALARM], [MISS, HIT]],
        )
        self.cbpe.fit(pandas.DataFrame({"p": reference, "acted": (reference >= THRESHOLD) * 1, "y": labels}))
        self._auc = estimate_roc_auc

    def estimate(self) -> dict[str, float]:
        result = self.cbpe.estimate(self.frame).filter(period="analysis").to_df()
        ours = {
            "roc_auc": "auc",
            "average_precision": "pr_auc",
            "true_positive": "hits",
            "false_negative": "misses",
            "false_positive": "false_alarms",
            "true_negative": "correct_rejections",
            "business_value": "payoff",
        }
        names = ("accuracy", "precision", "recall", "specificity", "f1", *ours)
        found = {ours.get(name, name): float(result[(name, "value")].iloc[-1]) for name in names}
        return found | {"payoff": found["payoff"] / ROWS}  # theirs is the total

    def bare(self) -> dict[str, float]:
        return {"auc": float(self._auc(self.frame["p"], self.frame["p"]))}


CONTENDERS: dict[str, Callable[[Path], Mainspring | NannyML]] = {"mainspring": Mainspring, "nannyml": NannyML}


def answer_requests(name: str, folder: Path) -> None:
    """Be a contender: for each word on stdin, do it, and answer with its seconds and what it found."""
    contender = CONTENDERS[name](folder)
    print(json.dumps("ready"), flush=True)
    for line in sys.stdin:
        start = time.perf_counter()
        found = getattr(contender, line.strip())()
        print(json.dumps({"seconds": time.perf_counter() - start, "found": found}), flush=True)


class Process:
    """A contender in a process of its own."""

    def __init__(self, name: str, python: str, folder: Path) -> None:
        command = [python, "-W", "ignore", __file__, "--contender", name, "--folder", str(folder)]
        self.name = name
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self._reply()

    def ask(self, what: str) -> dict[str, Any]:
        assert self.process.stdin is not None
        print(what, file=self.process.stdin, flush=True)
        return self._reply()

    def _reply(self) -> Any:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit(f"{self.name} stopped; what it said stands above.")
        return json.loads(line)

    def end(self) -> None:
        self.process.kill()
        self.process.wait()


def difference(ours: dict[str, float], theirs: dict[str, float]) -> dict[str, float]:
    """Return by how much each figure differs: absolutely for rates, relative to the larger for numbers of rows."""
    return {name: abs(ours[name] - value) / max(1.0, abs(value)) for name, value in theirs.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peer-python", default=sys.executable, help="the Python that has NannyML; else this one")
    parser.add_argument("--contender", choices=CONTENDERS, help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.contender:
        return answer_requests(options.contender, options.folder)

    load = round(os.getloadavg()[0], 2)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        for name, values in zip(("p", "reference", "labels"), predictions(), strict=True):
            np.save(folder / f"{name}.npy", values)
        running = [Process("mainspring", sys.executable, folder), Process("nannyml", options.peer_python, folder)]
        try:
            first = {what: [each.ask(what)["found"] for each in running] for what in ("estimate", "bare")}
            differences = difference(*first["estimate"])
            worst = max(differences, key=lambda name: differences[name])
            if not differences[worst] <= SAME:
                raise SystemExit(f"{worst} differs by {differences[worst]}: {first['estimate']}")
            taken: dict[str, list[list[float]]] = {"estimate": [], "bare": [], "every_figure": []}
            for _ in range(RUNS):
                for what, runs in taken.items():
                    asked = running if what != "every_figure" else running[:1]
                    runs.append([each.ask(what)["seconds"] for each in asked])
        finally:
            for each in running:
                each.end()
    medians = {what: [statistics.median(run) for run in zip(*runs, strict=True)] for what, runs in taken.items()}
    (ours, theirs), bare = medians["estimate"], medians["bare"]
    document = {
        "name": "estimated_quality",
        "rows": ROWS,
        "ours": round(ours, 4),
        "peers": {"nannyml": round(theirs, 4)},
        "ratio": round(theirs / ours, 2),
        "every_figure": round(medians["every_figure"][0], 4),
        "bare_auc": {"ours": round(bare[0], 4), "nannyml": round(bare[1], 4), "ratio": round(bare[1] / bare[0], 2)},
        "largest_difference": differences[worst],
        "differs_most": worst,
        "figures": first["estimate"][0],
        "cores": len(os.sched_getaffinity(0)),
        "load_before": load,
    }
    print(json.dumps(document))
    return None


if __name__ == "__main__":
    main()
