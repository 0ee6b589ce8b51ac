"""MLflow: the booster saved as a model of MLflow, then `mlflow models serve` with one worker: POST /invocations.

python serving_mlflow.py MODEL PORT FOLDER
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import lightgbm
import mlflow.lightgbm

if __name__ == "__main__":
    model, port, folder = sys.argv[1:]
    saved = Path(folder) / "model"
    mlflow.lightgbm.save_model(lightgbm.Booster(model_file=model), saved, pip_requirements=["lightgbm"])
    arguments = ["models", "serve", "--model-uri", str(saved), "--env-manager", "local", "--workers", "1"]
    address = ["--host", "127.0.0.1", "--port", port]
    environment = {
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "MLFLOW_TRACKING_URI": f"sqlite:///{folder}/tracking.db",
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",  # it starts its server by name
    }
    os.execve(sys.executable, [sys.executable, "-m", "mlflow", *arguments, *address], os.environ | environment)
