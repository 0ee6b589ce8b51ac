"""Evaluations as they come out of real runs, made from a seed: full, minimal, regression and multiclass."""

from __future__ import annotations

import numpy as np

from mainspring.evaluation.report import FeatureFacts, RunContext, TableFacts
from mainspring.evaluation.results import (
    Baseline,
    CheckResult,
    ConfusionCell,
    Evaluation,
    GuardResult,
    Importance,
    Interval,
    LeakageFinding,
    PartSummary,
    PeriodResult,
    ReliabilityBin,
    Reversal,
    SliceResult,
    Stratum,
    ThresholdPoint,
)

GROUPS = ("timetable", "weather at origin", "delays at origin", "delays at dest", "aircraft", "carrier", "calendar")
CARRIERS = ("UA", "B6", "EV", "DL", "AA", "MQ", "US", "9E", "WN", "VX", "FL", "AS", "F9", "YV", "HA", "OO")
AIRPORTS = ("JFK", "EWR", "LGA", "ATL", "ORD", "LAX", "BOS", "MCO", "CLT", "SFO", "FLL", "MIA")
AIRPORTS += ("DCA", "DTW", "DFW", "RDU", "TPA", "DEN", "IAH", "MSP", "PBI", "BNA", "LAS", "SJU")


def around(value: float, half: float) -> Interval:
    """Return an interval that is symmetric about its value."""
    return Interval(value, value - half, value + half)


def _baseline(name: str, kind: str, description: str, loss: float, half: float = 0.009) -> Baseline:
    return Baseline(
        name=name,
        kind=kind,
        description=description,
        metrics={
            "log_loss": around(loss, half),
            "auc": around(1.22 - loss, 0.006),
            "brier": around(loss / 3.1, 0.003),
            "ece": around(loss / 30, 0.004),
        },
        payoff=around(1.09 - loss, 0.02),
        difference=around(0.4598 - loss, 0.002),
        payoff_difference=around(loss - 0.47, 0.008),
    )


def _baselines() -> list[Baseline]:
    named = [
        ("constant rate", "constant", "The late rate of the training part for everyone.", 0.5391),
        ("last label of the tailnum", "last_label", "Whether the same aircraft's last known flight was late.", 0.6120),
        ("last label of the carrier", "last_label", "Whether the carrier's last known flight was late.", 0.6655),
        ("departure delay of the last hour", "heuristic", "Mean delay of departures at the origin, scaled.", 0.5102),
        ("logistic regression", "linear", "Logistic regression on the same features, standardised.", 0.4793),
    ]
    made = [_baseline(*each) for each in named]
    cost = (0.0081, 0.0052, 0.0117, 0.0009, 0.0034, 0.0016, -0.0002)
    for group, more in zip(GROUPS, cost, strict=True):
        made.append(_baseline(f"without {group}", "without", f"The model made again without {group}.", 0.4598 + more))
    return made


def _slices(rng: np.random.Generator) -> list[SliceResult]:
    found = []
    values = [("carrier", name) for name in CARRIERS] + [("origin or dest", name) for name in AIRPORTS]
    for at, (column, value) in enumerate(values):
        rows = int(22_000 / (1 + at % 20) ** 1.4)
        loss, half = 0.46 + 0.05 * rng.standard_normal(), 1.2 / np.sqrt(rows)
        rate = float(np.clip(0.21 + 0.06 * rng.standard_normal(), 0.02, 0.9))
        found.append(
            SliceResult(
                column=column,
                value=value,
                rows=rows,
                label_mean=rate,
                predicted_mean=rate + 0.02 * rng.standard_normal(),
                metrics={"log_loss": around(loss, half), "auc": around(0.75, half)},
                payoff=around(0.6, half),
                small=rows < 500,
            )
        )
    return found


def _reversal(first: str, second: str, by: str, values: tuple[str, ...]) -> Reversal:
    strata = [
        Stratum(
            value=value, first_rate=0.21 - 0.05 * at, first_rows=420, second_rate=0.18 - 0.05 * at, second_rows=3000
        )
        for at, value in enumerate(values)
    ]
    return Reversal(
        column="carrier",
        first=first,
        second=second,
        by=by,
        strata=strata,
        first_rate=0.172,
        second_rate=0.194,
        p_value=0.0031,
        sentence=f"{first} is late more often than {second} at every {by}, yet less often over all of them together: "
        f"{first} flies mostly where everyone is on time.",
    )


def _bins(rng: np.random.Generator, bend: float) -> list[ReliabilityBin]:
    found = []
    for low in np.arange(0, 0.9, 0.1):
        predicted = float(low + 0.05)
        observed = float(np.clip(predicted**bend + 0.01 * rng.standard_normal(), 0.01, 0.98))
        half = 0.005 + 0.06 * predicted**2
        rows = int(30_000 * np.exp(-4 * predicted)) + 40
        found.append(
            ReliabilityBin(
                low=float(low),
                high=float(low + 0.1),
                rows=rows,
                predicted=predicted,
                observed=Interval(observed, max(0.0, observed - half), min(1.0, observed + half)),
            )
        )
    return found


def _periods(rng: np.random.Generator, scale: float = 1.0) -> list[PeriodResult]:
    starts = np.datetime64("2013-10-01") + 7 * np.arange(13)
    rates = 0.17 + 0.012 * np.arange(13) + 0.03 * rng.standard_normal(13)
    return [
        PeriodResult(
            start=f"{start}T00:00:00Z",
            rows=int(6000 + 500 * rng.standard_normal()),
            label_mean=float(scale * rate),
            predicted_mean=float(scale * (rate + 0.012 * rng.standard_normal())),
            metric=float(scale * (0.42 + 0.3 * (rate - 0.15))),
        )
        for start, rate in zip(starts, rates, strict=True)
    ]


def _importance(rng: np.random.Generator) -> list[Importance]:
    gains = rng.pareto(1.3, 70)
    gains /= gains.sum()
    return [
        Importance(
            feature=f"{GROUPS[at % 7].replace(' ', '_')}_{('mean', 'max', 'count', 'latest', 'share')[at % 5]}_{1 + at}h",
            group=GROUPS[at % 7],
            gain=float(gain),
            permutation=around(float(0.05 * gain + 0.0004 * rng.standard_normal()), 0.0006),
        )
        for at, gain in enumerate(gains)
    ]


def _parts(mean: float = 0.235) -> list[PartSummary]:
    return [
        PartSummary(
            name=name, rows=rows, first=f"2013-{first}T10:15:00Z", last=f"2013-{last}T03:59:00Z", label_mean=mean + more
        )
        for name, rows, first, last, more in (
            ("train", 221_312, "01-01", "08-31", 0.01),
            ("calibrate", 26_984, "09-02", "09-29", -0.09),
            ("test", 82_603, "10-01", "12-31", 0.0),
        )
    ]


def full() -> Evaluation:
    """Return a binary evaluation with everything in it: 12 baselines, 40 slices, 2 reversals, 70 features."""
    rng = np.random.default_rng(7)
    curve = [
        ThresholdPoint(threshold=at, payoff=0.62 - 2.1 * (at - 0.27) ** 2 + 0.2 * (at - 0.27) ** 3, share=(1 - at) ** 2)
        for at in np.linspace(0.01, 0.99, 99).round(2).tolist()
    ]
    cells = {
        ("late", "late"): 9120,
        ("late", "on time"): 10_270,
        ("on time", "late"): 11_930,
        ("on time", "on time"): 51_283,
    }
    return Evaluation(
        system="flight-delays",
        task="binary",
        label="Arrival.arr_delay >= 15 min, known within 36 h, otherwise true",
        metric="log_loss",
        parts=_parts(),
        metrics={
            "log_loss": around(0.4598, 0.0089),
            "auc": around(0.7614, 0.0061),
            "pr_auc": around(0.5331, 0.0112),
            "brier": around(0.1479, 0.0033),
            "ece": around(0.0183, 0.0061),
        },
        baselines=_baselines(),
        payoff=around(0.6213, 0.0241),
        payoff_unit="EUR",
        threshold=0.2714,
        payoff_curve=curve,
        confusion=[ConfusionCell(actual=a, predicted=p, rows=rows) for (a, p), rows in cells.items()],
        calibration="isotonic",
        slices=_slices(rng),
        simpson=[
            _reversal("US", "VX", "origin", ("EWR", "JFK")),
            _reversal("FL", "MQ", "season", ("winter", "summer")),
        ],
        simpson_pairs=1840,
        reliability=_bins(rng, 1.02),
        reliability_before=_bins(rng, 1.35),
        histogram=[(at / 40, (at + 1) / 40, int(9000 * np.exp(-((at - 5) ** 2) / 60)) + 60) for at in range(40)],
        periods=_periods(rng),
        importance=_importance(rng),
        leakage=[
            LeakageFinding(
                kind="shared_groups",
                severity="note",
                subject="tailnum",
                figure=0.91,
                message="91% of the aircraft of the test part were seen in training: expected, they fly every day.",
            ),
            LeakageFinding(
                kind="known_close_to_label",
                severity="warning",
                subject="plane_last",
                figure=0.03,
                message="For 3% of the decisions the value was learnt within a minute of the label.",
            ),
        ],
        checks=[
            CheckResult(
                name="more wind never makes a flight safer",
                kind="direction",
                passed=False,
                figure=0.081,
                limit=0.05,
                rows=2000,
                message="On 8.1% of the rows 10 mph more wind lowered the prediction by more than 0.01.",
            ),
            CheckResult(
                name="a degree more or less",
                kind="noise",
                passed=True,
                figure=0.004,
                limit=0.01,
                rows=2000,
                message="The prediction moved by 0.004 on average.",
            ),
        ],
        guards=[GuardResult(metric="ece", limit="at most 0.03", figure=0.0183, passed=True)],
        left_out={"label known before the decision": 1184, "label not known at the end of the history": 212},
        notes=["AUC of the slice dest = HA could not be computed: it has one class only."],
    )


def minimal(**changes: object) -> Evaluation:
    """Return the smallest evaluation there can be."""
    given: dict[str, object] = {
        "system": "tiny",
        "task": "binary",
        "label": "true or false",
        "metric": "log_loss",
        "parts": [],
        "metrics": {},
        "baselines": [],
    }
    return Evaluation(**(given | changes))  # type: ignore[arg-type]


def regression() -> Evaluation:
    """Return an evaluation of a number."""
    rng = np.random.default_rng(3)
    metrics = {"mae": around(31.2, 0.8), "rmse": around(47.9, 1.9), "pinball@0.9": around(9.4, 0.4)}
    return minimal(
        system="bike-demand",
        task="regression",
        label="Rides in the next hour",
        metric="mae",
        parts=_parts(188.0),
        metrics=metrics,
        baselines=[
            Baseline(
                name="mean", kind="constant", description="The mean of training.", metrics={"mae": around(142.0, 4.0)}
            ),
            Baseline(
                name="same hour", kind="heuristic", description="A week before.", metrics={"mae": around(31.9, 1.1)}
            ),
        ],
        periods=_periods(rng, 900.0),
        histogram=[(at * 25.0, (at + 1) * 25.0, int(900 * np.exp(-at / 7))) for at in range(30)],
        importance=[Importance(feature="hour", group="calendar", gain=0.8, permutation=None)],
    )


def multiclass() -> Evaluation:
    """Return an evaluation of three classes, in which the model loses."""
    names = ("red", "green", "blue")
    cells = [ConfusionCell(actual=a, predicted=p, rows=100 + 900 * (a == p)) for a in names for p in names]
    return minimal(
        system="lamps",
        task="multiclass",
        label="Colour of the lamp",
        metric="accuracy",
        parts=_parts(0.4),
        metrics={"accuracy": around(0.71, 0.02), "log_loss": around(0.83, 0.04)},
        baselines=[
            Baseline(
                name="most frequent", kind="constant", description="Red.", metrics={"accuracy": around(0.4, 0.01)}
            ),
            Baseline(
                name="yesterday", kind="last_label", description="As before.", metrics={"accuracy": around(0.74, 0.02)}
            ),
        ],
        confusion=cells,
        guards=[GuardResult(metric="accuracy", limit="at least 0.8", figure=0.71, passed=False)],
    )


def context() -> RunContext:
    """Return the run behind `full`."""
    rng = np.random.default_rng(11)
    kinds = (
        "mean of dep_delay by origin over 1h",
        "latest wind_speed by origin within 3h",
        "count of departures by dest",
    )
    return RunContext(
        run="2026-01-14-quiet-otter",
        generated="2026-01-14T09:21:33Z",
        version="0.1.0",
        purpose="Tell a traveller, two hours before departure, whether the flight will land 15+ minutes late.",
        declaration=[
            "A decision for each Flight, 2 h before sched_dep",
            "Label: Arrival.arr_delay >= 15 by flight_id within 36 h, otherwise true",
            "70 features from 5 tables; model LightGBM; payoff hit 4, miss −6, false alarm −1 EUR",
        ],
        decisions={"made": 336_776, "with a label known": 335_380, "judged": 82_603},
        seconds={"ingest": 6.1, "features": 1.42, "labels": 0.11, "fit": 41.3, "calibrate": 0.6, "evaluate": 14.2},
        tables=[
            TableFacts(name="Flight", rows=336_776, snapshot="8812740912348712345"),
            TableFacts(name="Departure", rows=328_521, snapshot="1209348712340987123", quarantined=14),
            TableFacts(name="Weather", rows=26_115, snapshot="5512348712340987777"),
        ],
        features=[
            FeatureFacts(
                name=each.feature,
                group=each.group,
                kind="category" if at % 9 == 0 else "number",
                expression=kinds[at % 3],
                missing=float(rng.beta(1, 12)),
            )
            for at, each in enumerate(full().importance)
        ],
        fingerprints={"declaration": "9f2ab1c07d", "data set": "44e0c3a9ff21", "model": "0b77de12aa"},
        brief=[
            ("Who decides with it?", "The traveller, who may rebook; nothing is done to anyone automatically."),
            ("Who could be harmed?", "Travellers on small carriers, whose rates are less certain."),
        ],
    )


def bare_context() -> RunContext:
    """Return a run of which nothing but its name was recorded."""
    return RunContext(run="r1", generated="2026-01-01T00:00:00Z", version="0.1.0")
