"""Time `import mainspring` and `mainspring --help`, and show where `mainspring demo` spends its time.

An import is timed in a process of its own, less the median of a bare `python -c pass`; Polars and scikit-learn, imported in
turn with it, are yardsticks that everybody knows. `--help` is the whole process. The demo runs once in a new workspace:
its stages as it reports them, and how much of its evaluation went into fitting (the model is judged beside others without
each group of features, and those have to be fitted). The last line on stdout is one JSON object.

    python benchmarks/startup.py             everything
    python benchmarks/startup.py --no-demo   imports and --help only
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import io
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

RUNS = 5
YARDSTICKS = {"polars": "import polars", "scikit-learn": "import sklearn"}
COMMANDS = {
    "python": [sys.executable, "-c", "pass"],
    "mainspring": [sys.executable, "-c", "import mainspring"],
    **{name: [sys.executable, "-c", code] for name, code in YARDSTICKS.items()},
    "help": [str(Path(sys.executable).with_name("mainspring")), "--help"],
}


def seconds_of(command: list[str]) -> float:
    begin = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env=_plain())
    return time.perf_counter() - begin


def slowest_imports(count: int = 8) -> dict[str, float]:
    """The modules that take most milliseconds of `import mainspring` themselves, those they import left out."""
    command = [sys.executable, "-X", "importtime", "-c", "import mainspring"]
    lines = subprocess.run(command, check=True, capture_output=True, text=True, env=_plain()).stderr.splitlines()
    parts = [line.removeprefix("import time:").split("|") for line in lines if line.count("|") == 2]
    took = {name.strip(): int(own) / 1000 for own, _, name in parts if own.strip().isdigit()}
    return dict(sorted(took.items(), key=lambda item: -item[1])[:count])


def _plain() -> dict[str, str]:
    """The environment, with the files of compiled modules that an installed package has."""
    return {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}


def run_demo(folder: str) -> None:
    """Run the demo in this process and print what it found, with the seconds of all fits after the training stage."""
    from mainspring.cli import main
    from mainspring.training import Trainer

    build = importlib.import_module("mainspring.loop.build")
    fit, train = Trainer.fit, build.train
    fits: list[float] = []

    def timed_fit(*arguments: Any, **options: Any) -> Any:
        begin = time.perf_counter()
        try:
            return fit(*arguments, **options)
        finally:
            fits.append(time.perf_counter() - begin)

    def train_apart(*arguments: Any, **options: Any) -> Any:
        trained = train(*arguments, **options)
        fits.clear()
        return trained

    Trainer.fit, build.train = timed_fit, train_apart
    sys.argv = ["mainspring", "demo", "--json", "--workspace", folder]
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed), contextlib.suppress(SystemExit):
        main()
    print(json.dumps(json.loads(printed.getvalue()) | {"evaluation_fits": sum(fits)}))


def measure_demo() -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        begin = time.perf_counter()
        command = [sys.executable, __file__, "--demo", folder]
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=_plain())
        wall = time.perf_counter() - begin
    found = json.loads(done.stdout.splitlines()[-1])
    seconds = {stage: round(spent, 2) for stage, spent in found["seconds"].items()}
    fits = round(found["evaluation_fits"], 2)
    return {
        "wall": round(wall, 2),
        "seconds": seconds,
        "evaluation_fitting": fits,
        "evaluation_rest": round(seconds["evaluation"] - fits, 2),
        "without_training": round(wall - seconds["training"], 2),
        "without_fitting": round(wall - seconds["training"] - fits, 2),
        "quality": {name: round(figure["value"], 4) for name, figure in found["metrics"].items()},
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--no-demo", action="store_true", help="leave the demo out")
    parser.add_argument("--demo", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.demo:
        return run_demo(options.demo)
    load = round(os.getloadavg()[0], 2)
    for command in COMMANDS.values():
        seconds_of(command)  # files come from disk, and modules are compiled, once
    taken = [{name: seconds_of(command) for name, command in COMMANDS.items()} for _ in range(RUNS)]
    median = {name: statistics.median(turn[name] for turn in taken) for name in COMMANDS}
    own = {name: round(median[name] - median["python"], 4) for name in ("mainspring", *YARDSTICKS)}
    document = {
        "name": "startup",
        "ours": own.pop("mainspring"),
        "peers": own,
        "python": round(median["python"], 4),
        "help": round(median["help"], 4),
        "slowest_imports_ms": slowest_imports(),
    }
    document["ratio"] = round(min(own.values()) / document["ours"], 2)
    if not options.no_demo:
        document["demo"] = measure_demo()
    print(json.dumps(document | {"cores": len(os.sched_getaffinity(0)), "load_before": load}))
    return None


if __name__ == "__main__":
    main()
