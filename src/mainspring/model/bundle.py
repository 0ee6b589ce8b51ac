"""The bundle: a folder that holds all a model needs to answer, each file with its checksum, and nothing that could run.

manifest.json    what it is and when and from what it was made; the checksum and size of every file below
manifest.sha256  the checksum of the manifest itself (`sha256sum -c manifest.sha256`)
model.txt        LightGBM's text format; or model.skops with inputs.json; or model.json for a linear model
model.onnx       the estimator of model.skops once more, for fast answers; may be missing, and metadata "onnx" says why
schema.json      the features, in order, with the categories that were known
calibration.json reference.json plan.json card.md
"""

from __future__ import annotations

import hashlib
import os
import secrets
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import msgspec
from msgspec import Struct

import mainspring
from mainspring.clock import format_instant
from mainspring.errors import BundleError
from mainspring.model.calibration import Calibration
from mainspring.model.estimator import EstimatorPredictor, load_estimator
from mainspring.model.linear import LinearPredictor
from mainspring.model.model import Model, Predictor
from mainspring.model.schema import FeatureSchema
from mainspring.model.sketch import Reference
from mainspring.model.trees import TreePredictor
from mainspring.storage import storage_errors

__all__ = ["FORMAT", "Bundle", "FileEntry", "Manifest", "load_bundle", "verify_bundle", "write_bundle"]

FORMAT = 1
_MANIFEST, _SEAL = "manifest.json", "manifest.sha256"
_KINDS: dict[type, str] = {TreePredictor: "lightgbm", EstimatorPredictor: "sklearn", LinearPredictor: "linear"}


class FileEntry(Struct, frozen=True):
    """What a file of the bundle must be."""

    sha256: str
    size: int


class Manifest(Struct, frozen=True, kw_only=True):
    """What a bundle is: read first, and trusted only when its own checksum is right."""

    format: int
    mainspring: str  # the version that wrote it
    system: str
    fingerprint: str  # of the system's declaration
    created: str  # ISO 8601, as its writer said
    predictor: str  # "lightgbm", "sklearn", "linear"
    task: str
    classes: tuple[str, ...]
    threshold: float
    features: tuple[str, ...]
    snapshots: dict[str, Any]
    metadata: dict[str, Any]
    files: dict[str, FileEntry]


@dataclass(frozen=True, eq=False, kw_only=True)
class Bundle:
    """A loaded bundle. `digest` is the SHA-256 of the manifest and thereby of everything in the folder."""

    folder: Path
    digest: str
    manifest: Manifest
    model: Model
    system_document: Any
    reference: Reference
    card: str


def write_bundle(
    folder: Path,
    model: Model,
    *,
    system: str,
    system_document: Any,
    fingerprint: str,
    reference: Reference,
    card: str,
    created: int,
    snapshots: Mapping[str, Any] | None = None,
    metadata: Mapping[str, Any] | None = None,
) -> str:
    """Write a bundle and return its digest; the same inputs give the same bytes.

    `system_document`, `snapshots` and `metadata` are JSON documents, `created` microseconds since the epoch. The files
    are written to a hidden folder next to `folder`, flushed and renamed: a reader sees a whole bundle or none. A bundle
    that is already there is replaced.

    Raises BundleError (BUNDLE_UNTRUSTED) and WorkspaceError (WORKSPACE_DISK_FULL, WORKSPACE_READ_ONLY).
    """
    files = {
        **model.predictor.files(),
        "schema.json": msgspec.json.encode(model.schema),
        "calibration.json": msgspec.json.encode(model.calibration),
        "reference.json": msgspec.json.encode(reference),
        "plan.json": msgspec.json.format(msgspec.json.encode(system_document)),
        "card.md": card.encode(),
    }
    manifest = Manifest(
        format=FORMAT,
        mainspring=mainspring.__version__,
        system=system,
        fingerprint=fingerprint,
        created=format_instant(created),
        predictor=_KINDS[type(model.predictor)],
        task=model.task,
        classes=model.classes,
        threshold=model.threshold,
        features=tuple(model.schema.names),
        snapshots=dict(snapshots or {}),
        metadata={**(metadata or {}), **_notes(model.predictor)},
        files={name: FileEntry(_sha256(files[name]), len(files[name])) for name in sorted(files)},
    )
    files[_MANIFEST] = msgspec.json.format(msgspec.json.encode(manifest))
    digest = _sha256(files[_MANIFEST])
    files[_SEAL] = _seal(digest)
    with storage_errors(folder):
        _write_folder(folder, files)
    return digest


def verify_bundle(folder: Path) -> Manifest:
    """Check every file of a bundle against its checksum, load nothing, and return the manifest.

    Raises BundleError (BUNDLE_MISSING, BUNDLE_CORRUPT, BUNDLE_FORMAT).
    """
    return _read(folder)[0]


def load_bundle(folder: Path, *, threads: int = 0) -> Bundle:
    """Verify a bundle and make its model; what is verified are the very bytes that are used.

    `threads` is how many threads a prediction of trees may take (0: all cores).

    Raises BundleError (BUNDLE_MISSING, BUNDLE_CORRUPT, BUNDLE_FORMAT, BUNDLE_UNTRUSTED).
    """
    manifest, files, digest = _read(folder)
    try:
        schema = msgspec.json.decode(files["schema.json"], type=FeatureSchema)
        model = Model(
            schema=schema,
            predictor=_predictor(manifest, files, schema, threads),
            task=manifest.task,
            classes=manifest.classes,
            calibration=msgspec.json.decode(files["calibration.json"], type=Calibration),
            threshold=manifest.threshold,
        )
        return Bundle(
            folder=folder,
            digest=digest,
            manifest=manifest,
            model=model,
            system_document=msgspec.json.decode(files["plan.json"]),
            reference=msgspec.json.decode(files["reference.json"], type=Reference),
            card=files["card.md"].decode(),
        )
    except (msgspec.DecodeError, KeyError) as error:
        raise BundleError(
            "BUNDLE_FORMAT",
            f"The bundle in {folder} is whole, but a file of it cannot be read: {error}",
            fix="Load it with the version of Mainspring named in its manifest, or train again.",
        ) from error


def _predictor(manifest: Manifest, files: dict[str, bytes], schema: FeatureSchema, threads: int) -> Predictor:
    if manifest.predictor == "lightgbm":
        return TreePredictor(files["model.txt"].decode(), schema, threads)
    if manifest.predictor == "sklearn":
        return load_estimator(files)
    if manifest.predictor == "linear":
        return msgspec.json.decode(files["model.json"], type=LinearPredictor)
    raise KeyError(manifest.predictor)


def _notes(predictor: Predictor) -> dict[str, str]:
    note = predictor.onnx_note if isinstance(predictor, EstimatorPredictor) else ""
    return {"onnx": note} if note else {}


def _read(folder: Path) -> tuple[Manifest, dict[str, bytes], str]:
    if not (folder / _MANIFEST).is_file():
        raise BundleError(
            "BUNDLE_MISSING",
            f"There is no bundle in {folder}.",
            fix="Give a folder that holds a manifest.json; `mainspring runs` lists what was trained.",
        )
    stored = (folder / _MANIFEST).read_bytes()
    digest = _sha256(stored)
    # The seal is checked before the manifest is understood, so that damage is never mistaken for a newer version.
    if not (folder / _SEAL).is_file():
        _refuse("BUNDLE_MISSING", folder, f"{_SEAL} is gone")
    if (folder / _SEAL).read_bytes() != _seal(digest):
        _refuse("BUNDLE_CORRUPT", folder, f"{_MANIFEST} does not match {_SEAL}")
    manifest = _understand(stored, folder)
    present = {path.name for path in folder.iterdir()} - {_MANIFEST, _SEAL}
    gone, extra = sorted(manifest.files.keys() - present), sorted(present - manifest.files.keys())
    if gone:
        _refuse("BUNDLE_MISSING", folder, f"{', '.join(gone)} is gone")
    if extra:
        _refuse("BUNDLE_CORRUPT", folder, f"{', '.join(extra)} is not in its manifest")
    files = {}
    for name, entry in manifest.files.items():
        files[name] = (folder / name).read_bytes()
        if len(files[name]) != entry.size or _sha256(files[name]) != entry.sha256:
            _refuse("BUNDLE_CORRUPT", folder, f"{name} does not match its checksum")
    return manifest, files, digest


class _Version(Struct):
    format: int
    mainspring: str = "unknown"


def _understand(stored: bytes, folder: Path) -> Manifest:
    try:
        version = msgspec.json.decode(stored, type=_Version)
        if version.format <= FORMAT:
            return msgspec.json.decode(stored, type=Manifest)
        problem = f"was written in format {version.format} by Mainspring {version.mainspring}"
    except msgspec.DecodeError as error:
        problem = f"has a manifest that cannot be read: {error}"
    raise BundleError(
        "BUNDLE_FORMAT",
        f"The bundle in {folder} {problem}.",
        exists=f"This is Mainspring {mainspring.__version__}, which reads formats up to {FORMAT}.",
        fix="Update Mainspring, or train again with this version.",
    )


def _refuse(code: str, folder: Path, problem: str) -> NoReturn:
    raise BundleError(
        code,
        f"The bundle in {folder} is damaged: {problem}.",
        fix="Restore the folder from a copy, or train again.",
    )


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _seal(digest: str) -> bytes:
    return f"{digest}  {_MANIFEST}\n".encode()


def _write_folder(folder: Path, files: Mapping[str, bytes]) -> None:
    token = secrets.token_hex(4)
    draft, old = (folder.with_name(f".{folder.name}.{token}.{state}") for state in ("tmp", "old"))
    folder.parent.mkdir(parents=True, exist_ok=True)
    draft.mkdir()
    try:
        for name, data in files.items():
            with (draft / name).open("xb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
        _sync(draft)
        if folder.exists():
            folder.rename(old)  # a folder that holds files cannot be renamed over
        draft.rename(folder)
        _sync(folder.parent)
        shutil.rmtree(old, ignore_errors=True)
    finally:
        if old.exists() and not folder.exists():
            old.rename(folder)
        shutil.rmtree(draft, ignore_errors=True)


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
