"""scikit-learn's histogram boosting in ONNX, in float64.

skl2onnx knows it in float32 only. Its splits are in float64 and often lie exactly where a whole number that training did not
see may fall: one row in seventy then took the other side of a split, and answers differed by a tenth.
"""

from __future__ import annotations

from typing import Any

import numpy as np

__all__ = ["boosting_converters", "declare_opset"]

Converters = tuple[dict[type, Any], dict[type, Any]]


def boosting_converters() -> Converters:
    """Return the converters and the shapes of outputs that `skl2onnx.convert_sklearn` takes, by class."""
    from skl2onnx.common.shape_calculator import (
        calculate_linear_classifier_output_shapes,
        calculate_linear_regressor_output_shapes,
    )
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

    converters = dict.fromkeys((HistGradientBoostingClassifier, HistGradientBoostingRegressor), _convert)
    return converters, {
        HistGradientBoostingClassifier: calculate_linear_classifier_output_shapes,
        HistGradientBoostingRegressor: calculate_linear_regressor_output_shapes,
    }


def declare_opset(model: Any) -> None:
    """Declare the version of the operators that brought trees in float64, 5, where a model has such trees.

    skl2onnx 1.20 refuses to, so `_convert` tells it of an older one.
    """
    if any(node.op_type == "TreeEnsemble" for node in model.graph.node):
        for operators in model.opset_import:
            if operators.domain == "ai.onnx.ml":
                operators.version = 5


def _convert(scope: Any, operator: Any, container: Any) -> None:
    """Add the nodes of one fitted estimator: trees, baseline, link, and for a classifier the position of its class.

    Raises NotImplementedError for inputs that are not float64, and for splits on categories.
    """
    from skl2onnx.common.data_types import DoubleTensorType

    if not isinstance(operator.inputs[0].type, DoubleTensorType):
        raise NotImplementedError("histogram boosting is converted in float64 only")
    estimator, last = operator.raw_operator, operator.outputs[-1].full_name

    def add(kind: str, given: list[str], version: int, domain: str = "", into: str = "", **attributes: Any) -> str:
        into = into or scope.get_unique_variable_name("boosting")
        container.add_node(kind, given, [into], op_domain=domain, op_version=version, **attributes)
        return into

    def constant(value: list[float], kind: int) -> str:
        name = scope.get_unique_variable_name("constant")
        container.add_initializer(name, kind, [len(value)], value)
        return name

    double, whole = 11, 7  # TensorProto.DOUBLE, TensorProto.INT64
    trees = add("TreeEnsemble", operator.input_full_names, 1, "ai.onnx.ml", **_trees(estimator))
    baseline = constant(np.ravel(estimator._baseline_prediction).tolist(), double)
    link = type(estimator._loss.link).__name__
    if link == "IdentityLink":
        add("Add", [trees, baseline], 14, into=last)
        return
    raw = add("Add", [trees, baseline], 14)
    if link == "LogLink":
        add("Exp", [raw], 13, into=last)
        return
    if link == "LogitLink":
        yes = add("Sigmoid", [raw], 13)
        no = add("Sub", [constant([1.0], double), yes], 14)
        chances = add("Concat", [no, yes], 13, into=last, axis=1)
    elif link == "MultinomialLogit":
        chances = add("Softmax", [raw], 13, into=last, axis=1)
    else:
        raise NotImplementedError(f"histogram boosting with the link {link}")
    position = add("ArgMax", [chances], 13, axis=1, keepdims=0)
    labels = constant([int(label) for label in estimator.classes_], whole)
    add("ArrayFeatureExtractor", [labels, position], 1, "ai.onnx.ml", into=operator.outputs[0].full_name)


def _trees(estimator: Any) -> dict[str, Any]:
    """Return the attributes of a TreeEnsemble: inner nodes and leaves of all trees one after the other."""
    from onnx import numpy_helper

    inner_nodes: list[
        np.ndarray
    ] = []  # (nodes, 7): feature, missing goes to true; child and whether a leaf, twice; root
    splits: list[np.ndarray] = []
    weights: list[np.ndarray] = []
    targets: list[np.ndarray] = []
    roots: list[int] = []
    nodes_before = leaves_before = 0
    for iteration in estimator._predictors:
        for target, tree in enumerate(iteration):
            nodes = tree.nodes
            if nodes["is_categorical"].any():
                raise NotImplementedError("histogram boosting with splits on categories")
            leaf = nodes["is_leaf"].astype(bool)
            position = np.where(leaf, np.cumsum(leaf) - 1 + leaves_before, np.cumsum(~leaf) - 1 + nodes_before)
            inner = (
                nodes[~leaf] if len(nodes) > 1 else nodes
            )  # a tree that never splits: a split with one leaf for both
            left, right = inner["left"].astype(int), inner["right"].astype(int)
            sides = [side for child in (left, right) for side in (position[child], leaf[child])]
            inner_nodes.append(np.column_stack([inner["feature_idx"], inner["missing_go_to_left"], *sides]))
            splits.append(inner["num_threshold"])
            weights.append(nodes["value"][leaf])
            targets.append(np.full(leaf.sum(), target))
            roots.append(nodes_before)
            nodes_before, leaves_before = nodes_before + len(inner), leaves_before + int(leaf.sum())
    feature, missing, true, true_leaf, false, false_leaf = np.concatenate(inner_nodes).astype(int).T.tolist()
    return {
        "n_targets": estimator.n_trees_per_iteration_,
        "aggregate_function": 1,  # sum
        "post_transform": 0,  # none
        "tree_roots": roots,
        "nodes_featureids": feature,
        "nodes_splits": numpy_helper.from_array(np.concatenate(splits).astype(np.float64)),
        "nodes_modes": numpy_helper.from_array(np.zeros(len(feature), np.uint8)),  # all: at most the split
        "nodes_missing_value_tracks_true": missing,
        "nodes_truenodeids": true,
        "nodes_trueleafs": true_leaf,
        "nodes_falsenodeids": false,
        "nodes_falseleafs": false_leaf,
        "leaf_targetids": np.concatenate(targets).tolist(),
        "leaf_weights": numpy_helper.from_array(np.concatenate(weights).astype(np.float64)),
    }
