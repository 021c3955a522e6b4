"""Networks as ONNX graphs on a CPU: OpenCV, OpenVINO or ONNX Runtime, imported when they are asked for."""

from __future__ import annotations

import math
import os
import threading
import weakref
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from crayoncodec.errors import CheckpointError, DeviceError
from crayoncodec.machine import process, threads
from crayoncodec.painting import checkpoints
from crayoncodec.painting.guards import check_forked, is_finite, is_out_of_memory

F32 = NDArray[np.float32]
Feed = Mapping[str, F32]
"""A graph's inputs: planes f32[1,C,H,W], sides multiples of the network's ``multiple``; coarseness f32[1]."""
Run = Callable[[Feed], F32]
"""Inputs -> what is to be added to the base, f32[1,2*s*s,H/s,W/s], as of torch's pixel_unshuffle."""

_PLANES: Final = ("lightness", "cell_lightness", "bicubic", "base")


class GraphBackend:
    """recolorize.Backend: a graph in one of the runtimes, window after window.

    Threads take turns: each runtime has threads of its own, so that several networks at a time would only
    take more memory (docs/design.md). A forked process has no threads of the runtime and loads it anew.
    """

    inputs: tuple[str, ...] = (*_PLANES, "coarseness")

    def __init__(self, name: str, runtime: str, load: Callable[[], Run], reach: int, multiple: int) -> None:
        """``load`` it. Raises CheckpointError, DeviceError, MemoryError."""
        self.reach, self.multiple = reach, multiple
        self._name, self._runtime, self._load = name, runtime, load
        self._turn = threading.Lock()
        self._run: Run | None = self._loaded()
        _all.add(self)

    def predict(self, windows: Iterable[Feed], coarseness: float) -> Iterator[F32]:
        """As recolorize.Backend. Raises CheckpointError for a graph that cannot be run, MemoryError."""
        for window in windows:
            residual = self._residual(self.feed(window, coarseness))
            yield self._finished(window["base"], residual)
            del window, residual  # before the next are made

    def on_cpu(self) -> None:
        """Nothing: this is on one."""

    def renew(self) -> None:
        """Leave what a forked process cannot use."""
        process.keep_for_ever(self._run)
        self._turn, self._run = threading.Lock(), None

    def _loaded(self) -> Run:
        check_forked(self._runtime)
        try:
            return self._load()
        except ImportError as error:
            raise DeviceError(f"backend {self._runtime} cannot be imported ({error})") from error
        except Exception as error:  # each runtime has its own
            if is_out_of_memory(error):
                raise MemoryError("not enough memory to load the network") from error
            raise self._unusable("loaded", error) from error

    def _residual(self, feed: Feed) -> F32:
        """What the graph gives; nothing of it is the runtime's."""
        with self._turn:
            if self._run is None:
                self._run = self._loaded()
            try:
                residual = self._run(feed)
            except Exception as error:  # each runtime has its own
                self._run = None  # whatever state it is in
                if is_out_of_memory(error):
                    raise MemoryError("not enough memory for the network") from error
                raise self._unusable("run", error) from error
        height, width = feed["base"].shape[2:]
        _, channels, *_ = shape = np.shape(residual) if np.ndim(residual) == 4 else (0, 0)
        side = max(1, math.isqrt(channels // 2))
        if shape != (1, 2 * side**2, height / side, width / side) or residual.dtype != np.float32:
            raise self._unusable("run", f"{shape} numbers come out for {height} x {width} pixels")
        if not is_finite(residual):
            raise self._unusable("run", "what comes out is not finite")
        return residual

    def _unusable(self, what: str, reason: object) -> CheckpointError:
        return CheckpointError(
            f"the graph of {self._name} cannot be {what} by {self._runtime} ({' '.join(str(reason).split())})"
        )

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


def load(model: str, runtime: str, precision: str = "float32") -> GraphBackend:
    """The graph of a checkpoint in "opencv", "openvino" or "onnx".

    Raises CheckpointError, DeviceError, MemoryError.
    """
    card, data = checkpoints.graph(model, "int8" if precision == "int8" else "float32")
    run = partial(_LOADERS[runtime], data, precision)
    return GraphBackend(card.name, runtime, run, card.reach, card.multiple)


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


def _openvino_core() -> Any:
    """One for the whole process, which is never given back.

    Each gives its thread another stack for signals, and what it restores at its end may be that of another
    one that is gone: the next signal would end the process.
    """
    global _core  # noqa: PLW0603 - a cache, but threads must not make two
    import openvino

    with _core_lock:
        if _core is None:
            _core = openvino.Core()
        return _core


def _onnx(graph: bytes, precision: str) -> Run:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = _threads()
    options.add_session_config_entry("session.load_model_format", "ONNX")  # what has been looked through
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

_all: Final[weakref.WeakSet[GraphBackend]] = weakref.WeakSet()
_core: Any = None
_core_lock = threading.Lock()


def _renew() -> None:
    global _core, _core_lock
    for backend in list(_all):
        backend.renew()
    process.keep_for_ever(_core)
    _core, _core_lock = None, threading.Lock()


process.in_children(_renew)
