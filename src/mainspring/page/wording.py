"""How figures are written for people: the digits that matter, units spelt out, unknown said as such."""

from __future__ import annotations

import math
from typing import Protocol

from mainspring.clock import DAY, HOUR, MINUTE, SECOND, format_instant

__all__ = [
    "UNKNOWN",
    "ago",
    "capital",
    "count",
    "instant",
    "interval",
    "mean_label",
    "metric_title",
    "moment",
    "number",
    "percent",
    "plain",
    "plural",
    "signed",
]

UNKNOWN = "unknown"


class _Interval(Protocol):
    @property
    def low(self) -> float: ...
    @property
    def high(self) -> float: ...


_TITLES = {
    "auc": "AUC",
    "pr_auc": "PR-AUC",
    "ece": "ECE",
    "rmse": "RMSE",
    "mae": "MAE",
    "mse": "MSE",
    "r2": "R²",
    "brier": "Brier score",
    "f1": "F1",
}


def metric_title(name: str) -> str:
    """Return the name of a metric as the trade writes it: "log loss", "AUC"."""
    base, _, quantile = name.partition("@")
    title = _TITLES.get(base, base.replace("_", " "))
    return f"{title} at {quantile}" if quantile else title


def capital(text: str) -> str:
    """Return text as a sentence begins."""
    return text[:1].upper() + text[1:]


def number(value: float | None) -> str:
    """Return a number with about four significant digits, and a true minus sign."""
    if value is None or not math.isfinite(value):
        return UNKNOWN
    size = abs(value)
    if size == 0:
        text = "0"
    elif size < 1e-5:
        text = f"{value:.1e}"
    elif size < 0.001:
        text = f"{value:.5f}"
    elif size < 1:
        text = f"{value:.4f}"
    elif size < 1e6:
        text = f"{value:,.{max(0, 3 - int(math.log10(size)))}f}"
    else:
        text = f"{value:.4g}"
    return text.replace("-", "−")


def plain(value: float | None) -> str:
    """Return a number that was declared or chosen, with no more digits than it has: 0.03, not 0.0300."""
    return UNKNOWN if value is None or not math.isfinite(value) else f"{value:.4g}".replace("-", "−")


def signed(value: float | None) -> str:
    """Return a difference with its sign always written."""
    text = number(value)
    return f"+{text}" if value is not None and value > 0 and math.isfinite(value) else text


def interval(estimate: _Interval | None) -> str:
    """Return "low to high", the 95% interval of an estimate."""
    if estimate is None or not (math.isfinite(estimate.low) and math.isfinite(estimate.high)):
        return UNKNOWN
    return f"{number(estimate.low)} to {number(estimate.high)}"


def percent(share: float | None) -> str:
    """Return a share in [0, 1] as a percentage."""
    if share is None or not math.isfinite(share):
        return UNKNOWN
    return f"{100 * share:.1f}%".replace("-", "−")


def count(rows: int) -> str:
    """Return a count with its thousands set apart."""
    return f"{rows:,}"


def plural(rows: int, noun: str, nouns: str | None = None) -> str:
    """Return a count with its noun: "1 slice", "40 slices"."""
    return f"{count(rows)} {noun if rows == 1 else nouns or noun + 's'}"


def instant(text: str) -> str:
    """Return an ISO 8601 instant to the minute, the way people read it; any other text as it is."""
    if len(text) >= 16 and text[10] in "T " and text[4] == text[7] == "-":
        return f"{text[:10]} {text[11:16]}" + (" UTC" if text.endswith(("Z", "+00:00")) else "")
    return text


def moment(at: int | None) -> str:
    """Return an instant (microseconds) to the minute, in UTC: "2013-03-01 14:05"; nothing for None."""
    return "" if at is None else format_instant(at)[:16].replace("T", " ")


def ago(span: int) -> str:
    """Return how long a span (microseconds) is in one unit: "12 s", "5 min", "3 h", "9 days"."""
    for unit, name in ((DAY, "days"), (HOUR, "h"), (MINUTE, "min")):
        if span >= 2 * unit:
            return f"{span // unit:,} {name}"
    return f"{max(span, 0) // SECOND} s"


def mean_label(task: str, mean: float | None) -> str:
    """Return the mean of a label or of its predictions: a rate, or for regression a number."""
    return number(mean) if task == "regression" else percent(mean)
