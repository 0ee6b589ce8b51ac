"""What an evaluation found, as plain records: the report, the card, the JSON document and the ledger all read these.

Every figure that was estimated carries its interval. Rates are in [0, 1], payoffs in the objective's unit per decision,
instants are ISO 8601 text. A figure that could not be computed is absent, and `notes` says why.
"""

from __future__ import annotations

from msgspec import Struct, field

__all__ = [
    "Baseline",
    "CheckResult",
    "ConfusionCell",
    "Evaluation",
    "GuardResult",
    "Importance",
    "Interval",
    "LeakageFinding",
    "PartSummary",
    "PeriodResult",
    "ReliabilityBin",
    "Reversal",
    "SliceResult",
    "Stratum",
    "ThresholdPoint",
]


class Interval(Struct, frozen=True):
    """An estimate with its 95% interval from a block bootstrap over days."""

    value: float
    low: float
    high: float


class PartSummary(Struct, frozen=True, kw_only=True):
    """One part of the split by time: train, calibrate, test."""

    name: str
    rows: int
    first: str
    last: str
    label_mean: float  # late rate, mean value; share of the most frequent class for multiclass


class Baseline(Struct, frozen=True, kw_only=True):
    """A simple competitor judged on exactly the rows the model was judged on."""

    name: str
    description: str
    kind: str  # "constant", "last_label", "heuristic", "linear", "without" (one feature group left out), "reduced"
    metrics: dict[str, Interval]
    payoff: Interval | None = None
    # The model minus this baseline in the objective's metric and in payoff, paired: both on the same resampled days.
    difference: Interval | None = None
    payoff_difference: Interval | None = None


class SliceResult(Struct, frozen=True, kw_only=True):
    """Quality on the rows whose column has one value."""

    column: str
    value: str
    rows: int
    label_mean: float
    predicted_mean: float
    metrics: dict[str, Interval]
    payoff: Interval | None = None
    small: bool = False  # too few rows or positives for a firm statement


class Stratum(Struct, frozen=True, kw_only=True):
    """One stratum of a reversal: the rate of both groups inside it."""

    value: str
    first_rate: float
    first_rows: int
    second_rate: float
    second_rows: int


class Reversal(Struct, frozen=True, kw_only=True):
    """A Simpson's reversal: `first` is worse than `second` in every stratum, yet better over them together."""

    column: str
    first: str
    second: str
    by: str
    strata: list[Stratum]
    first_rate: float  # over all strata together
    second_rate: float
    p_value: float  # of the weakest of the differences that make it, times the sets of strata to choose from
    sentence: str


class ReliabilityBin(Struct, frozen=True, kw_only=True):
    """Rows with a similar predicted probability, and how often the label came true among them."""

    low: float
    high: float
    rows: int
    predicted: float
    observed: Interval


class ThresholdPoint(Struct, frozen=True, kw_only=True):
    """What would be gained per decision if everything predicted at or above one threshold were acted on."""

    threshold: float
    payoff: float
    share: float  # of the decisions acted on


class ConfusionCell(Struct, frozen=True, kw_only=True):
    """How many rows had one label and were given one answer (at the threshold, for a binary label)."""

    actual: str
    predicted: str
    rows: int


class LeakageFinding(Struct, frozen=True, kw_only=True):
    """Something that suggests a feature knows the label, or that test rows were seen in training."""

    kind: str  # "too_good_alone", "known_close_to_label", "shared_rows", "shared_groups"
    severity: str  # "error", "warning", "note"
    subject: str  # the feature, or the column of the group
    figure: float
    message: str


class CheckResult(Struct, frozen=True, kw_only=True):
    """A declared invariance, direction or noise check and what the model did."""

    name: str
    kind: str
    passed: bool
    figure: float
    limit: float
    rows: int
    message: str


class GuardResult(Struct, frozen=True, kw_only=True):
    """A declared limit on a metric and whether the model keeps it."""

    metric: str
    limit: str  # for example "at most 0.03"
    figure: float
    passed: bool


class Importance(Struct, frozen=True, kw_only=True):
    """How much a feature matters: share of split gain, and loss of the metric when its values are shuffled."""

    feature: str
    group: str
    gain: float | None
    permutation: Interval | None


class PeriodResult(Struct, frozen=True, kw_only=True):
    """One week (or day, for short histories) of the test part."""

    start: str
    rows: int
    label_mean: float
    predicted_mean: float
    metric: float


class Evaluation(Struct, frozen=True, kw_only=True):
    """Everything that was found when a model was judged."""

    system: str
    task: str  # "binary", "multiclass", "regression"
    label: str  # the label in words
    metric: str  # the objective's metric
    parts: list[PartSummary]
    metrics: dict[str, Interval]
    baselines: list[Baseline]
    payoff: Interval | None = None
    payoff_unit: str | None = None
    threshold: float | None = None
    payoff_curve: list[ThresholdPoint] = field(default_factory=list)
    confusion: list[ConfusionCell] = field(default_factory=list)
    calibration: str = "none"
    slices: list[SliceResult] = field(default_factory=list)
    simpson: list[Reversal] = field(default_factory=list)
    simpson_pairs: int | None = None  # how many pairs of values were searched for a reversal
    reliability: list[ReliabilityBin] = field(default_factory=list)
    reliability_before: list[ReliabilityBin] = field(default_factory=list)  # of the uncalibrated model
    histogram: list[tuple[float, float, int]] = field(default_factory=list)  # of predictions: low, high, rows
    periods: list[PeriodResult] = field(default_factory=list)
    importance: list[Importance] = field(default_factory=list)
    leakage: list[LeakageFinding] = field(default_factory=list)
    checks: list[CheckResult] = field(default_factory=list)
    guards: list[GuardResult] = field(default_factory=list)
    left_out: dict[str, int] = field(default_factory=dict)  # decisions that took no part, by reason
    notes: list[str] = field(default_factory=list)
