"""The Open Inference Protocol, version 2, so that clients of other servers work here: the inputs are the columns of a
decision's row, the outputs what the model answers. (KServe, Open Inference Protocol: https://kserve.github.io.)
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import msgspec

from mainspring.answers import Prediction
from mainspring.declare import Column, Kind, System
from mainspring.errors import ServingError
from mainspring.serving.service import Service

__all__ = ["answer", "metadata", "read_inference"]

_DATATYPES = {Kind.FLOAT: "FP64", Kind.INT: "INT64", Kind.BOOL: "BOOL"}  # names and instants are BYTES: UTF-8, ISO 8601
_INPUTS = ("BOOL", "INT8", "INT16", "INT32", "INT64", "UINT8", "UINT16", "UINT32", "UINT64", "FP32", "FP64", "BYTES")
_ANSWERS = {"binary": "probability", "regression": "value", "multiclass": "classes"}
Scalar = bool | int | float | str | None


class _Tensor(msgspec.Struct):
    name: str
    shape: list[int]
    datatype: str
    data: list[Scalar | list[Scalar]]


class _Request(msgspec.Struct):
    inputs: list[_Tensor]
    id: str | None = None


_decode = msgspec.json.Decoder(_Request).decode


def metadata(service: Service) -> dict[str, Any]:
    """Describe the model as the protocol does."""
    model = service.predictor.router.champion.model.model
    columns = service.predictor.system.decision.table.__schema__.columns
    answer = _ANSWERS[model.task]
    width = len(model.classes) if model.task == "multiclass" else 1
    decided = {"binary": "BOOL", "regression": "FP64", "multiclass": "BYTES"}[model.task]
    return {
        "name": service.predictor.system.name,
        "versions": [arm.model for arm in service.predictor.router.arms],
        "platform": "mainspring",
        "inputs": [{"name": _name(c), "datatype": _DATATYPES.get(c.of, "BYTES"), "shape": [-1]} for c in columns],
        "outputs": [
            {"name": answer, "datatype": "FP64", "shape": [-1, width] if width > 1 else [-1]},
            {"name": "decision", "datatype": decided, "shape": [-1]},
            {"name": "prediction_id", "datatype": "BYTES", "shape": [-1]},
        ],
    }


def read_inference(body: bytes, system: System) -> tuple[list[dict[str, Scalar]], str | None]:
    """Read a request: the rows, and the name that the client gave it.

    Raises ServingError (SERVE_BODY).
    """
    try:
        request = _decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise _unreadable(f"it cannot be read: {error}") from error
    known = {_name(column) for column in system.decision.table.__schema__.columns}
    columns: dict[str, list[Scalar]] = {}
    for tensor in request.inputs:
        if tensor.name not in known:
            raise _unreadable(f"there is no input {tensor.name!r}", f"There are {', '.join(sorted(known))}.")
        if tensor.datatype not in _INPUTS:
            raise _unreadable(f"{tensor.name} has the datatype {tensor.datatype!r}", f"There are {', '.join(_INPUTS)}.")
        columns[tensor.name] = _flat(tensor)
    lengths = {len(values) for values in columns.values()}
    if len(lengths) != 1:
        raise _unreadable(f"its inputs have {' and '.join(map(str, sorted(lengths))) or 'no'} rows")
    names = list(columns)
    return [dict(zip(names, values, strict=True)) for values in zip(*columns.values(), strict=True)], request.id


def answer(service: Service, predictions: Sequence[Prediction], request_id: str | None) -> dict[str, Any]:
    """Return predictions as the protocol does; all are of the champion's task, and `model_version` is the champion's."""
    model = service.predictor.router.champion.model.model
    outputs = [
        {**output, "shape": [len(predictions), *output["shape"][1:]], "data": _data(output["name"], predictions)}
        for output in metadata(service)["outputs"]
    ]
    told: dict[str, Any] = {
        "model_name": service.predictor.system.name,
        "model_version": service.predictor.router.champion.arm.model,
        "outputs": outputs,
    }
    if model.task == "multiclass":
        told["parameters"] = {"classes": ",".join(model.classes)}
    return told if request_id is None else {**told, "id": request_id}


def _data(name: str, predictions: Sequence[Prediction]) -> list[Any]:
    values = [getattr(prediction, name) for prediction in predictions]
    return [number for each in values for number in each.values()] if name == "classes" else values


def _flat(tensor: _Tensor) -> list[Scalar]:
    """The values of a tensor of shape [n] or [n, 1]."""
    parts = [value if isinstance(value, list) else [value] for value in tensor.data]
    values = list(itertools.chain.from_iterable(parts))
    if tensor.shape not in ([len(values)], [len(values), 1]):
        raise _unreadable(f"{tensor.name} has shape {tensor.shape} and {len(values)} values")
    if tensor.datatype.startswith("FP"):
        try:
            return [float(each) if isinstance(each, int) and not isinstance(each, bool) else each for each in values]
        except OverflowError:
            raise _unreadable(f"{tensor.name} has a number that no {tensor.datatype} can be") from None
    return values


def _name(column: Column) -> str:
    return column.source or column.name


def _unreadable(why: str, exists: str = "") -> ServingError:
    return ServingError(
        "SERVE_BODY",
        f"The request is no inference request: {why}.",
        exists=exists,
        fix='Send {"inputs": [{"name", "shape": [n], "datatype", "data"}, …]} with one input for each column.',
    )
