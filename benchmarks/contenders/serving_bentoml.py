"""BentoML: a service with one method, POST /predict {"row": [30 numbers]}, in one worker, without a log of accesses.

python serving_bentoml.py MODEL PORT FOLDER
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import bentoml
import lightgbm
import numpy as np


@bentoml.service(workers=1, logging={"access": {"enabled": False}}, traffic={"timeout": 60})
class Scorer:
    def __init__(self) -> None:
        self.booster = lightgbm.Booster(model_file=os.environ["SERVED_MODEL"])

    @bentoml.api
    async def predict(self, row: list[float]) -> float:
        # A method without `async` would be sent to a thread for each request, which takes longer than the booster.
        return float(self.booster.predict(np.array([row]), num_threads=1)[0])


if __name__ == "__main__":
    model, port, folder = sys.argv[1:]
    here = Path(__file__)
    arguments = [
        "serve",
        f"{here.stem}:Scorer",
        "--working-dir",
        str(here.parent),
        "--host",
        "127.0.0.1",
        "--port",
        port,
    ]
    environment = {"SERVED_MODEL": model, "BENTOML_HOME": folder, "BENTOML_DO_NOT_TRACK": "True"}
    os.execve(sys.executable, [sys.executable, "-m", "bentoml", *arguments], os.environ | environment)
