"""FastAPI with the booster behind one route, as one writes it by hand: POST /predict {"row": [30 numbers]}.

python serving_fastapi.py MODEL PORT FOLDER
"""

from __future__ import annotations

import sys

import lightgbm
import numpy as np
import uvicorn
from fastapi import FastAPI
from pydantic import BaseModel


class Asked(BaseModel):
    row: list[float]


def make_app(model: str) -> FastAPI:
    app, booster = FastAPI(), lightgbm.Booster(model_file=model)

    @app.post("/predict")
    async def predict(asked: Asked) -> dict[str, float]:
        # A route without `async` would be sent to a thread for each request, which takes longer than the booster.
        return {"probability": float(booster.predict(np.array([asked.row]), num_threads=1)[0])}

    return app


if __name__ == "__main__":
    model, port, _ = sys.argv[1:]
    uvicorn.run(
        make_app(model), host="127.0.0.1", port=int(port), loop="uvloop", http="httptools", access_log=False, workers=1
    )
