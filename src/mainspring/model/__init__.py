"""A fitted model and its stored form: the schema of its features, the predictor, calibration, threshold, reference sketches,
and the bundle that holds them all with a checksum of every file. Nothing here can train, and nothing loads a library of
models before a model that needs it is used.
"""

from mainspring.model.calibration import Calibration, Identity, Isotonic, Sigmoid
from mainspring.model.encoding import LinearEncoder
from mainspring.model.model import Model, Predictor
from mainspring.model.schema import Feature, FeatureSchema

__all__ = [
    "Calibration",
    "Feature",
    "FeatureSchema",
    "Identity",
    "Isotonic",
    "LinearEncoder",
    "Model",
    "Predictor",
    "Sigmoid",
]
