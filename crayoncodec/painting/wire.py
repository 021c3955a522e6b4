"""ONNX graphs as protocol buffers, read as far as it takes to trust them; needs no onnx.

A graph may say that its numbers are in another file, at any path. A runtime would open that file while it
loads the graph, and no hash covers it: so it is looked for before.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5

_PARTS: Final[dict[str, dict[int, str]]] = {
    "model": {7: "graph", 20: "training", 25: "function"},
    "training": {1: "graph", 2: "graph"},
    "function": {7: "node", 11: "attribute"},
    "graph": {1: "node", 5: "tensor", 15: "sparse"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse", 23: "sparse"},
    "sparse": {1: "tensor", 2: "tensor"},
    "tensor": {},
}
"""Of each message of onnx.proto the fields that lead to tensors, and what they hold."""
_EXTERNAL_DATA, _DATA_LOCATION = 13, 14
_GRAPH, _INITIALIZER, _INPUT, _NAME, _INITIALIZER_NAME = 7, 5, 11, 1, 8


def has_external_data(model: bytes) -> bool:
    """Whether any tensor of an ONNX model, however deep, is said to be elsewhere.

    Raises ValueError for what is no protocol buffer.
    """
    waiting = [("model", memoryview(model))]
    while waiting:
        kind, message = waiting.pop()
        for number, value in _fields(message):
            # The location may be given as 0, which is here.
            if kind == "tensor" and (number == _EXTERNAL_DATA or (number == _DATA_LOCATION and value)):
                return True
            part = _PARTS[kind].get(number)
            if part is not None and isinstance(value, memoryview):
                waiting.append((part, value))
    return False


def inputs(model: bytes) -> set[str]:
    """Names of what an ONNX model is to be given. Raises ValueError for what is no protocol buffer."""
    graph = [field for part in _messages(memoryview(model), _GRAPH) for field in _fields(part)]
    found, own = (
        {
            bytes(name).decode("utf-8", "replace")
            for at, value in graph
            if at == field and isinstance(value, memoryview)
            for name in _messages(value, named)
        }
        for field, named in ((_INPUT, _NAME), (_INITIALIZER, _INITIALIZER_NAME))
    )
    return found - own  # old models name their weights among their inputs


def _messages(message: memoryview, wanted: int) -> Iterator[memoryview]:
    for number, value in _fields(message):
        if number == wanted and isinstance(value, memoryview):
            yield value


def _fields(message: memoryview) -> Iterator[tuple[int, int | memoryview]]:
    """Numbers and values: whole numbers, or bytes."""
    at = 0
    while at < len(message):
        key, at = _varint(message, at)
        if key >> 32:  # a reader might drop what is above
            raise ValueError("a field's number is too large")
        number, kind = key >> 3, key & 7
        if kind == _VARINT:
            value, at = _varint(message, at)
            yield number, value
            continue
        if kind == _BYTES:
            size, at = _varint(message, at)
        elif kind in (_FIXED32, _FIXED64):
            size = 4 if kind == _FIXED32 else 8
        else:
            raise ValueError(f"field of unknown type {kind}")
        if at + size > len(message):
            raise ValueError("a field is cut off")
        yield number, message[at : at + size]
        at += size


def _varint(message: memoryview, at: int) -> tuple[int, int]:
    """A whole number, and where the next thing begins."""
    value = 0
    for k in range(10):
        if at + k >= len(message):
            raise ValueError("a number is cut off")
        byte = message[at + k]
        value |= (byte & 127) << 7 * k
        if byte < 128:
            return value, at + k + 1
    raise ValueError("a number of more than 64 bits")
