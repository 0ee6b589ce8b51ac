"""A fitted model and its stored form: the schema of its features, the predictor, calibration, threshold, reference sketches,
and the bundle that holds them all with a checksum of every file. A compiled model answers single decisions, given as plain
values, in microseconds. Nothing here can train, and nothing loads a library of models before a model that needs it is used.
"""

from mainspring.model.bundle import Bundle, Manifest, load_bundle, verify_bundle, write_bundle
from mainspring.model.calibration import Calibration, Identity, Isotonic, Sigmoid
from mainspring.model.encoding import LinearEncoder
from mainspring.model.fast import CompiledModel, compile_model
from mainspring.model.model import Model, Predictor
from mainspring.model.plain_values import frame_of
from mainspring.model.schema import Feature, FeatureSchema
from mainspring.model.sketch import Reference, sketch_features, sketch_prediction

__all__ = [
    "Bundle", "Calibration", "CompiledModel", "Feature", "FeatureSchema", "Identity", "Isotonic", "LinearEncoder",
    "Manifest", "Model", "Predictor", "Reference", "Sigmoid", "compile_model", "frame_of", "load_bundle", "sketch_features",
    "sketch_prediction", "verify_bundle", "write_bundle",
]  # fmt: skip
