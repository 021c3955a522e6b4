"""Networks as ONNX graphs on a CPU: OpenCV, OpenVINO or ONNX Runtime, imported when they are asked for."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cache
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from crayoncodec import checkpoints, threads
from crayoncodec.errors import CheckpointError, DeviceError

F32 = NDArray[np.float32]
Feed = Mapping[str, F32]
"""A graph's inputs: planes f32[1,C,H,W], sides multiples of the network's ``multiple``; coarseness f32[1]."""
Run = Callable[[Feed], F32]
"""Inputs -> what is to be added to the base, f32[1,2*s*s,H/s,W/s], as of torch's pixel_unshuffle."""

_PLANES: Final = ("lightness", "cell_lightness", "bicubic", "base")


class GraphBackend:
    """recolorize.Backend: a graph in one of the runtimes, window after window."""

    inputs: tuple[str, ...] = (*_PLANES, "coarseness")

    def __init__(self, run: Run, reach: int, multiple: int) -> None:
        self.reach, self.multiple = reach, multiple
        self._run = run

    def predict(self, windows: Iterable[Feed], coarseness: float) -> Iterator[F32]:
        """As recolorize.Backend. Raises MemoryError."""
        for window in windows:
            try:
                residual = self._run(self.feed(window, coarseness))
            except Exception as error:  # each runtime has its own
                if is_out_of_memory(error):
                    raise MemoryError("not enough memory for the network") from error
                raise
            yield self._finished(window["base"], residual)
            del window, residual  # before the next are made

    def on_cpu(self) -> None:
        """Nothing: this is on one."""

    def feed(self, window: Feed, coarseness: float) -> dict[str, F32]:
        """What the graph is given for a window."""
        planes = {name: self._padded(window[name]) for name in _PLANES}
        return planes | {"coarseness": np.array([coarseness], np.float32)}

    def _finished(self, base: F32, residual: F32) -> F32:
        """AB f32[2,H,W]."""
        _, channels, rows, columns = residual.shape
        side, out = math.isqrt(channels // 2), np.empty_like(base)
        parts = residual.reshape(2, side, side, rows, columns)

        def band(rows: slice) -> None:
            inside = slice(rows.start * side, rows.stop * side)
            for row, column in np.ndindex(side, side):
                at = (slice(None), slice(inside.start + row, inside.stop, side), slice(column, None, side))
                given = base[at]
                np.add(given, parts[:, row, column, rows][:, : given.shape[1], : given.shape[2]], out=out[at])

        threads.each(band, threads.bands(rows))
        return out

    def _padded(self, plane: F32) -> F32:
        """f32[H,W] or f32[C,H,W] -> f32[1,C,H',W'], the outermost pixels repeated."""
        plane = plane if plane.ndim == 3 else plane[None]
        bottom, right = (-size % self.multiple for size in plane.shape[1:])
        if bottom or right:
            plane = np.pad(plane, ((0, 0), (0, bottom), (0, right)), mode="edge")
        return np.ascontiguousarray(plane)[None]


def is_out_of_memory(error: BaseException) -> bool:
    """Whether a runtime's error says that memory could not be had; none of them has a type for it."""
    text = str(error).lower()
    return isinstance(error, MemoryError) or any(
        words in text for words in ("out of memory", "insufficient memory", "alloc")
    )


def load(model: str, runtime: str, precision: str = "float32") -> GraphBackend:
    """The graph of a checkpoint in "opencv", "openvino" or "onnx". Raises CheckpointError, DeviceError."""
    card, data = checkpoints.graph(model, "int8" if precision == "int8" else "float32")
    try:
        run = _LOADERS[runtime](data, precision)
    except ImportError as error:
        raise DeviceError(f"backend {runtime} cannot be imported ({error})") from error
    except Exception as error:  # each runtime has its own
        if is_out_of_memory(error):
            raise MemoryError("not enough memory to load the network") from error
        reason = " ".join(str(error).split())
        raise CheckpointError(f"the graph of {card.name} cannot be loaded by {runtime} ({reason})") from error
    return GraphBackend(run, card.reach, card.multiple)


def _opencv(graph: bytes, precision: str) -> Run:
    import cv2

    network = cv2.dnn.readNetFromONNX(np.frombuffer(graph, np.uint8))

    def run(feed: Feed) -> Any:
        for name, values in feed.items():
            network.setInput(values, name)
        return network.forward()

    return run


def _openvino(graph: bytes, precision: str) -> Run:
    core = _openvino_core()
    settings = {
        # On processors with AMX it would compute in bfloat16 unasked.
        "INFERENCE_PRECISION_HINT": "bf16" if precision == "bfloat16" else "f32",
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_NUM_THREADS": _threads(),
        # Processes side by side would all be pinned to the first processors.
        "ENABLE_CPU_PINNING": False,
    }
    request = core.compile_model(core.read_model(graph), "CPU", settings).create_infer_request()
    return lambda feed: request.infer(feed, share_inputs=True)[0]


@cache
def _openvino_core() -> Any:
    """One for the whole process, which is never given back.

    Each gives its thread another stack for signals, and what it restores at its end may be that of another
    one that is gone: the next signal would end the process.
    """
    import openvino

    return openvino.Core()


def _onnx(graph: bytes, precision: str) -> Run:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = _threads()
    session = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
    return lambda feed: session.run(None, feed)[0]


def _threads() -> int:
    """OMP_NUM_THREADS, as PyTorch takes it; 0, which leaves it to the runtime, if that is not a number."""
    wanted = os.environ.get("OMP_NUM_THREADS", "")
    return int(wanted) if wanted.isdecimal() else 0


_LOADERS: Final[dict[str, Callable[[bytes, str], Run]]] = {
    "opencv": _opencv,
    "openvino": _openvino,
    "onnx": _onnx,
}
