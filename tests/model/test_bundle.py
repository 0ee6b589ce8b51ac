"""The bundle: what was written answers the same bits, and whatever was touched is refused."""

from __future__ import annotations

import hashlib
import subprocess
import zipfile
from functools import cache
from pathlib import Path

import msgspec
import numpy as np
import polars as pl
import pytest
import skops.io
from sklearn.datasets import load_files
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression, RidgeClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from mainspring.declare.estimator import LightGBM, Sklearn
from mainspring.errors import BundleError
from mainspring.model.bundle import FORMAT, load_bundle, verify_bundle, write_bundle
from mainspring.model.calibration import Calibration, Isotonic
from mainspring.model.estimator import EstimatorPredictor, load_estimator
from mainspring.model.model import Model
from mainspring.model.sketch import Reference, sketch_features, sketch_prediction
from mainspring.training.fit import LINEAR, fit
from mainspring.training.task import Task

KINDS = {"delay": "float", "late": "bool", "carrier": "category"}
SPECS = {
    "lightgbm": LightGBM(rounds=5, min_data_in_leaf=5),
    "linear": LINEAR,
    "pipeline": Sklearn(make_pipeline(StandardScaler(), LogisticRegression())),
    "forest": Sklearn(RandomForestClassifier(n_estimators=3, max_depth=3)),
    "boosting": Sklearn(HistGradientBoostingClassifier(max_iter=3)),
    "margins": Sklearn(RidgeClassifier()),
}


def frame(rows: int = 300, seed: int = 0) -> pl.DataFrame:
    random = np.random.default_rng(seed)
    return pl.DataFrame(
        {
            "delay": pl.Series(np.where(random.random(rows) < 0.1, np.nan, random.normal(size=rows)), nan_to_null=True),
            "late": random.random(rows) < 0.5,
            "carrier": random.choice(["AA", "US", "VX"], rows),
        }
    )


@cache
def model(kind: str, task: str = "binary") -> Model:
    rows = frame()
    noise = np.random.default_rng(1).normal(size=rows.height)
    score = rows["delay"].fill_null(0).to_numpy() + rows["late"].to_numpy() + noise
    if task == "regression":
        return fit(SPECS[kind], rows, KINDS, score, Task(kind=task), threads=1)
    if task == "multiclass":
        names = np.array(["low", "mid", "top"])[np.digitize(score, [0, 1])]
        return fit(SPECS[kind], rows, KINDS, names, Task(kind=task, classes=("low", "mid", "top")), threads=1)
    plain = fit(SPECS[kind], rows, KINDS, score > 0.5, Task(kind=task), threads=1)
    calibration = Calibration("isotonic", (Isotonic((0.1, 0.3, 0.9), (0.01, 0.35, 0.99)),))
    return Model(
        schema=plain.schema, predictor=plain.predictor, task=task, calibration=calibration, threshold=0.1 + 0.2
    )


def write(folder: Path, written: Model, system: str = "flight-delays") -> str:
    return write_bundle(
        folder,
        written,
        system=system,
        system_document={"$": "System", "features": [["delay", "Flight.delay"]]},
        fingerprint="0123456789abcdef",
        reference=Reference(
            sketch_features(frame(), KINDS), sketch_prediction(written.predict(frame()), written.classes)
        ),
        card="# Flight delays\n",
        created=1_380_585_600_000_000,
        snapshots={"Flight": 7},
    )


@pytest.mark.parametrize("kind", SPECS)
def test_a_loaded_model_answers_the_same_bits_and_decides_the_same(tmp_path: Path, kind: str) -> None:
    digest = write(tmp_path / "bundle", model(kind))
    bundle = load_bundle(tmp_path / "bundle")
    rows = frame(seed=5)
    assert bundle.model.predict(rows).tobytes() == model(kind).predict(rows).tobytes()
    assert bundle.model.threshold == 0.1 + 0.2
    assert bundle.digest == digest
    assert bundle.manifest.created == "2013-10-01T00:00:00Z"
    assert bundle.card == "# Flight delays\n"
    assert bundle.system_document["features"] == [["delay", "Flight.delay"]]
    assert len(bundle.model.predict(rows.clear())) == 0


@pytest.mark.parametrize("kind", ["lightgbm", "linear"])
@pytest.mark.parametrize("task", ["multiclass", "regression"])
def test_other_labels_survive_too(tmp_path: Path, kind: str, task: str) -> None:
    write(tmp_path / "bundle", model(kind, task))
    loaded, rows = load_bundle(tmp_path / "bundle").model, frame(seed=5)
    assert loaded.predict(rows).tobytes() == model(kind, task).predict(rows).tobytes()
    assert (
        loaded.decide(loaded.predict(rows)).tolist()
        == model(kind, task).decide(model(kind, task).predict(rows)).tolist()
    )
    assert len(loaded.predict(rows.clear())) == 0


@pytest.mark.parametrize("kind", ["lightgbm", "pipeline", "linear"])
def test_the_same_inputs_give_the_same_bytes(tmp_path: Path, kind: str) -> None:
    model.cache_clear()
    first = write(tmp_path / "a", model(kind))
    model.cache_clear()
    assert write(tmp_path / "b", model(kind)) == first
    for path in (tmp_path / "a").iterdir():
        assert path.read_bytes() == (tmp_path / "b" / path.name).read_bytes()


def test_a_stored_estimator_carries_no_time(tmp_path: Path) -> None:
    write(tmp_path / "bundle", model("pipeline"))
    with zipfile.ZipFile(tmp_path / "bundle" / "model.skops") as archive:
        assert {entry.date_time for entry in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}


@pytest.mark.parametrize("kind", ["lightgbm", "pipeline", "linear"])
def test_a_flipped_bit_anywhere_is_corrupt(tmp_path: Path, kind: str) -> None:
    folder = tmp_path / "bundle"
    write(folder, model(kind))
    for path in sorted(folder.iterdir()):
        whole = path.read_bytes()
        for position in {0, len(whole) // 3, len(whole) // 2, len(whole) - 1}:
            for bit in (0x01, 0x20):
                path.write_bytes(whole[:position] + bytes([whole[position] ^ bit]) + whole[position + 1 :])
                with pytest.raises(BundleError) as caught:
                    load_bundle(folder)
                assert caught.value.code == "BUNDLE_CORRUPT", path.name
        path.write_bytes(whole)
    verify_bundle(folder)


def test_a_missing_file_and_an_extra_file_are_named(tmp_path: Path) -> None:
    folder = tmp_path / "bundle"
    with pytest.raises(BundleError, match="no bundle"):
        load_bundle(folder)
    write(folder, model("linear"))
    for path in sorted(folder.iterdir()):
        whole = path.read_bytes()
        path.unlink()
        with pytest.raises(BundleError, match=r"is gone|no bundle") as caught:
            verify_bundle(folder)
        assert caught.value.code == "BUNDLE_MISSING"
        path.write_bytes(whole)
    (folder / "model.pkl").write_bytes(b"")
    with pytest.raises(BundleError, match=r"model\.pkl is not in its manifest") as caught:
        verify_bundle(folder)
    assert caught.value.code == "BUNDLE_CORRUPT"


def reseal(folder: Path, manifest: bytes) -> None:
    (folder / "manifest.json").write_bytes(manifest)
    (folder / "manifest.sha256").write_text(f"{hashlib.sha256(manifest).hexdigest()}  manifest.json\n")


def test_a_newer_format_and_an_unreadable_manifest_are_told_apart_from_damage(tmp_path: Path) -> None:
    folder = tmp_path / "bundle"
    write(folder, model("linear"))
    reseal(folder, msgspec.json.encode({"format": FORMAT + 1, "mainspring": "9.0", "anything": "else"}))
    with pytest.raises(BundleError, match=r"format 2 by Mainspring 9\.0") as caught:
        load_bundle(folder)
    assert caught.value.code == "BUNDLE_FORMAT"
    reseal(folder, b"[]")
    with pytest.raises(BundleError, match="cannot be read") as caught:
        load_bundle(folder)
    assert caught.value.code == "BUNDLE_FORMAT"


def test_no_pickle_is_stored_and_the_seal_is_checked_by_sha256sum(tmp_path: Path) -> None:
    write(tmp_path / "bundle", model("forest"))
    assert not [path for path in (tmp_path / "bundle").iterdir() if path.suffix in {".pkl", ".pickle", ".joblib"}]
    subprocess.run(
        ["sha256sum", "--check", "manifest.sha256"], cwd=tmp_path / "bundle", check=True, capture_output=True
    )


def test_a_bundle_is_replaced_whole_and_leaves_nothing_behind(tmp_path: Path) -> None:
    write(tmp_path / "bundle", model("linear"), system="first")
    write(tmp_path / "bundle", model("lightgbm"), system="second")
    assert load_bundle(tmp_path / "bundle").manifest.system == "second"
    assert [path.name for path in tmp_path.iterdir()] == ["bundle"]


def shout(values: np.ndarray) -> np.ndarray:
    return values


@pytest.mark.parametrize("function", [shout, eval, np.load, subprocess.check_output, load_files])
def test_foreign_code_is_neither_stored_nor_loaded(function: object) -> None:
    trained = EstimatorPredictor(FunctionTransformer(function), "binary", ("delay",))
    with pytest.raises(BundleError) as caught:
        trained.files()
    assert caught.value.code == "BUNDLE_UNTRUSTED"
    with pytest.raises(BundleError) as caught:
        load_estimator({"model.skops": skops.io.dumps(trained.estimator)})
    assert caught.value.code == "BUNDLE_UNTRUSTED"
