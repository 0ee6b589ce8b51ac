"""MLServer with its LightGBM runtime: POST /v2/models/served/infer, with and without its adaptive batching.

python serving_mlserver.py MODEL PORT FOLDER [batched]
"""

from __future__ import annotations

import json
import os
import socket
import sys
from pathlib import Path
from typing import Any


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as held:
        return held.getsockname()[1]


if __name__ == "__main__":
    model, port, folder, *form = sys.argv[1:]
    settings: dict[str, Any] = {
        "host": "127.0.0.1",
        "http_port": int(port),
        "grpc_port": free_port(),
        "metrics_port": free_port(),
        "parallel_workers": 0,  # in the server's own process: a pool costs a hop, and does not start under this uvloop
        "debug": False,
        "logging_settings": None,
    }
    served: dict[str, Any] = {
        "name": "served",
        "implementation": "mlserver_lightgbm.LightGBMModel",
        "parameters": {"uri": model},
    }
    if form == ["batched"]:
        served |= {"max_batch_size": 16, "max_batch_time": 0.002}
    Path(folder, "settings.json").write_text(json.dumps(settings))
    Path(folder, "model-settings.json").write_text(json.dumps(served))
    os.execv(sys.executable, [sys.executable, "-m", "mlserver.cli.main", "start", folder])
