"""One contender of a benchmark in a process and an environment of its own: it reads the frames once, then does as told.

Started by `features.py` as `python contender.py MODULE FOLDER`. Each line on stdin is a JSON list: ["answer", form, path]
writes what a form of the module computes as an Arrow file; ["time", form] measures one run; ["memory"] tells the most
memory the process has held. Each is answered by one line of JSON on stdout.
"""

from __future__ import annotations

import importlib
import json
import sys
import time
from pathlib import Path

import flights


def main() -> None:
    module, folder = sys.argv[1:]
    contender = importlib.import_module(f"contenders.{module}")
    forms = contender.FORMS
    frames = flights.read(Path(folder))
    reply(
        {
            "forms": list(forms),
            "fastest": contender.FASTEST,
            "rows": frames.decisions.height,
            "held_mb": memory("VmRSS"),
        }
    )
    for line in sys.stdin:
        match json.loads(line):
            case ["answer", form, path]:
                forms[form](frames).write_ipc(path)
                reply({})
            case ["time", form]:
                wall, spent = time.perf_counter(), time.process_time()
                forms[form](frames)
                reply({"wall": time.perf_counter() - wall, "cpu": time.process_time() - spent})
            case ["memory"]:
                reply({"peak_mb": memory("VmHWM")})


def memory(field: str) -> int:
    """Return what this process holds (VmRSS) or has held at most (VmHWM) in MB; getrusage knows its parent's peak too."""
    status = Path("/proc/self/status").read_text()
    return int(next(line.split()[1] for line in status.splitlines() if line.startswith(field))) // 1024


def reply(document: object) -> None:
    print(json.dumps(document), flush=True)


if __name__ == "__main__":
    main()
