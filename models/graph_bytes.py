"""The few edits of an ONNX file that tuning needs, on its bytes: the package `onnx` is part of training, not of serving.

An ONNX file is a protocol buffer: a message is a sequence of fields, each a tag and a value; the value of a nested message or of raw
bytes is preceded by its length. Only the fields on the way to what changes are made again, all others are kept byte by byte. Field
numbers are those of onnx.proto: ModelProto.graph 7; GraphProto.initializer 5, .output 12; TensorProto.dims 1, .data_type 2, .name 8,
.raw_data 9; ValueInfoProto.name 1, .type 2."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from models.errors import BundleError

_GRAPH, _INITIALIZER, _OUTPUT = 7, 5, 12
_FLOAT = 1
_VARINT, _EIGHT, _BYTES, _FOUR = 0, 1, 2, 5


class _Field(NamedTuple):
    """A field of a message: it lies in [begin, end), its value in [start, end); `value` where it is a number."""

    number: int
    begin: int
    start: int
    end: int
    value: int


def tensor(model: bytes, name: str) -> NDArray[np.float32]:
    """The float32 constant `name` of the graph. Raises `BundleError` when there is none."""
    graph = _graph(model)
    found = _named(graph, _INITIALIZER, 8, name)
    if found is None:
        raise BundleError(f"model.onnx has no constant {name!r}, so its outputs cannot be tuned")
    dims: list[int] = []
    kind, raw = 0, b""
    message = graph[found.start : found.end]
    for field in _fields(message):
        if field.number == 1:
            dims += [field.value] if field.start == field.end else _packed(message[field.start : field.end])
        elif field.number == 2:
            kind = field.value
        elif field.number == 9:
            raw = message[field.start : field.end]
    if kind != _FLOAT or len(raw) != 4 * math.prod(dims):
        raise BundleError(f"model.onnx holds {name!r} in a form that cannot be tuned")
    return np.frombuffer(raw, "<f4").reshape(dims).astype(np.float32)


def with_tensor(model: bytes, name: str, value: NDArray[np.float32]) -> bytes:
    """The model with `value` as its constant `name`. Raises `BundleError` when it has no such constant."""
    graph = _graph(model)
    found = _named(graph, _INITIALIZER, 8, name)
    if found is None:
        raise BundleError(f"model.onnx has no constant {name!r}")
    dims = b"".join(_number(1, size) for size in value.shape)
    raw = np.ascontiguousarray(value, "<f4").tobytes()
    made = _nested(_INITIALIZER, dims + _number(2, _FLOAT) + _nested(8, name.encode()) + _nested(9, raw))
    return _with_graph(model, graph[: found.begin] + made + graph[found.end :])


def with_output(model: bytes, name: str, width: int) -> bytes:
    """The model with the float32 value `name` of shape [b, width] as an output: a new one, or in place of the output of that name."""
    graph = _graph(model)
    shape = _nested(2, _nested(1, _nested(2, b"b")) + _nested(1, _number(1, width)))
    made = _nested(_OUTPUT, _nested(1, name.encode()) + _nested(2, _nested(1, _number(1, _FLOAT) + shape)))
    found = _named(graph, _OUTPUT, 1, name)
    if found is None:
        return _with_graph(model, graph + made)
    return _with_graph(model, graph[: found.begin] + made + graph[found.end :])


def _graph(model: bytes) -> bytes:
    for field in _fields(model):
        if field.number == _GRAPH:
            return model[field.start : field.end]
    raise BundleError("model.onnx has no graph")


def _with_graph(model: bytes, graph: bytes) -> bytes:
    (found,) = (field for field in _fields(model) if field.number == _GRAPH)
    return model[: found.begin] + _nested(_GRAPH, graph) + model[found.end :]


def _named(message: bytes, number: int, name_number: int, name: str) -> _Field | None:
    """The part `number` of `message` whose field `name_number` is `name`."""
    for part in _fields(message):
        if part.number == number:
            inner = message[part.start : part.end]
            if any(field.number == name_number and inner[field.start : field.end] == name.encode() for field in _fields(inner)):
                return part
    return None


def _fields(message: bytes) -> Iterator[_Field]:
    at = 0
    while at < len(message):
        begin = at
        tag, at = _varint(message, at)
        number, wire = tag >> 3, tag & 7
        value = 0
        start = at
        if wire == _VARINT:
            value, at = _varint(message, at)
            start = at
        elif wire == _BYTES:
            size, start = _varint(message, at)
            at = start + size
        elif wire in (_EIGHT, _FOUR):
            at += 8 if wire == _EIGHT else 4
        else:
            raise BundleError("model.onnx is no protocol buffer")
        if at > len(message):
            raise BundleError("model.onnx ends in the middle of a field")
        yield _Field(number, begin, start, at, value)


def _varint(message: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while at < len(message) and shift < 70:
        byte = message[at]
        value |= (byte & 0x7F) << shift
        at += 1
        if byte < 0x80:
            return value, at
        shift += 7
    raise BundleError("model.onnx ends in the middle of a number")


def _packed(raw: bytes) -> list[int]:
    values: list[int] = []
    at = 0
    while at < len(raw):
        value, at = _varint(raw, at)
        values.append(value)
    return values


def _number(number: int, value: int) -> bytes:
    return _as_varint(number << 3 | _VARINT) + _as_varint(value)


def _nested(number: int, content: bytes) -> bytes:
    return _as_varint(number << 3 | _BYTES) + _as_varint(len(content)) + content


def _as_varint(value: int) -> bytes:
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])
