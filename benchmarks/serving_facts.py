"""Send payments to our server in batches, over one connection, and count the rows that it takes in a second."""

from __future__ import annotations

import io
import statistics
import time
from urllib.parse import urlsplit, urlunsplit

import numpy as np
import polars as pl

from serving_contenders import post
from serving_load import Target

__all__ = ["measure_facts"]

SIZES, BATCHES = (1_000, 10_000), 7
BEGIN, SECOND = 1_741_219_200_000_000, 1_000_000  # 2025-03-06: after the history, so that time goes on
KINDS = {
    "ndjson": "application/x-ndjson",
    "json": "application/json",
    "arrow": "application/vnd.apache.arrow.stream",
}


def measure_facts(served: Target) -> dict[str, dict[str, float]]:
    """Return rows/s by format and rows in a batch: medians over batches that the server has not seen before.

    An answer means that every row was held to its contract, is new, is on disk, and is in the state. Meanwhile the server's
    flow takes the rows into the lake, as it always does.
    """
    address = urlsplit(served.url)
    url = urlunsplit(address._replace(path="/v1/facts/payment"))
    found: dict[str, dict[str, float]] = {form: {} for form in KINDS}
    taken: dict[tuple[str, int], list[float]] = {}
    numbered = 0
    for _ in range(BATCHES):
        for form, kind in KINDS.items():
            for size in SIZES:
                target = Target(url, {**served.headers, "Content-Type": kind}, [_body(_payments(numbered, size), form)])
                numbered += size
                begin = time.perf_counter()
                (answer,) = post(target)
                taken.setdefault((form, size), []).append(size / (time.perf_counter() - begin))
                if answer["accepted"] != size:
                    raise SystemExit(f"Of {size} facts {answer['accepted']} were accepted: {answer}")
    for (form, size), rates in taken.items():
        found[form][str(size)] = round(statistics.median(rates))
    return found


def _payments(first: int, count: int) -> pl.DataFrame:
    number = np.arange(first, first + count)
    return pl.DataFrame(
        {
            "payment_id": np.char.add("new-", number.astype(str)),
            "card": np.char.add("c", (number * 7 % 300).astype(str)),
            "shop": np.char.add("s", (number * 3 % 40).astype(str)),
            "amount": number % 9_973 / 100,
            "paid": pl.Series(BEGIN + number * SECOND).cast(pl.Datetime("us", "UTC")),
        }
    )


def _body(payments: pl.DataFrame, form: str) -> bytes:
    if form == "arrow":
        buffer = io.BytesIO()
        payments.write_ipc_stream(buffer)
        return buffer.getvalue()
    written = payments.with_columns(pl.col("paid").dt.strftime("%Y-%m-%dT%H:%M:%S%.6fZ"))
    return (written.write_json() if form == "json" else written.write_ndjson()).encode()
