"""Where a network runs: numpy planes in, AB out. Which backend, and with what it is loaded.

Four runtimes stand behind recolorize.Backend: PyTorch (``pytorch``), which runs every network and is the only
one for CUDA, and three that run the graph beside a checkpoint on a CPU (``runtimes``). None is imported
before it is chosen.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from typing import TYPE_CHECKING, Final, Literal, get_args

from crayoncodec.errors import DeviceError
from crayoncodec.painting.guards import check_forked, in_one_thread_if_forked, runs_here

if TYPE_CHECKING:
    from crayoncodec.color.refiner import Network
    from crayoncodec.painting.checkpoints import Card
    from crayoncodec.painting.recolorize import Backend

Name = Literal["auto", "opencv", "torch", "openvino", "onnx"]
NAMES: Final[tuple[Name, ...]] = get_args(Name)
Device = Literal["auto", "cpu", "cuda"]
DEVICES: Final[tuple[Device, ...]] = get_args(Device)
Precision = Literal["auto", "float32", "float16", "bfloat16", "int8"]
PRECISIONS: Final[tuple[Precision, ...]] = get_args(Precision)


@dataclass(frozen=True)
class Runtime:
    """What a backend needs and can do."""

    module: str
    """What is imported."""
    brought_by: str
    """What pip installs it with."""
    precisions: tuple[Precision, ...]
    """Those that it computes in; the first is the default on a CPU."""

    @property
    def installed(self) -> bool:
        """Whether it can be imported; does not do so."""
        return find_spec(self.module) is not None


RUNTIMES: Final[dict[Name, Runtime]] = {
    "openvino": Runtime("openvino", "crayoncodec[openvino]", ("float32", "bfloat16", "int8")),
    "onnx": Runtime("onnxruntime", "crayoncodec[onnx]", ("float32", "int8")),
    "opencv": Runtime("cv2", "opencv-python", ("float32",)),
    "torch": Runtime("torch", "torch", ("float32", "bfloat16", "float16")),
}
"""The fastest on a CPU first: of those that are installed ``auto`` takes the first that will do."""


def check_options(backend: Name, device: Device, precision: Precision) -> None:
    """Raise ValueError for a name that is not known, or for options that exclude each other."""
    for what, value, known in (
        ("backend", backend, NAMES), ("device", device, DEVICES), ("precision", precision, PRECISIONS),
    ):  # fmt: skip
        if value not in known:
            raise ValueError(f"{what} is {value!r}, expected one of {', '.join(known)}")
    if device == "cuda" and backend not in ("auto", "torch"):
        raise ValueError(f"backend {backend} is for CPUs, expected torch with device cuda")
    able = [name for name in RUNTIMES if precision in (*RUNTIMES[name].precisions, "auto")]
    if backend != "auto" and backend not in able:
        raise ValueError(
            f"backend {backend} does not compute in {precision}, expected {' or '.join(able)} for it"
        )
    if device == "cuda" and "torch" not in able:
        raise ValueError(f"precision {precision} is for CPUs, expected another with device cuda")


def load(
    model: str, *, backend: Name = "auto", device: Device = "auto", precision: Precision = "auto"
) -> Backend:
    """A checkpoint (a shipped one's name or a path), loaded where it is to run.

    backend: by default PyTorch on a CUDA device where there is one, else the first of RUNTIMES that is
    installed and that the checkpoint has a graph for, else PyTorch. precision: by default float16 on CUDA and
    float32 on a CPU.

    Raises CheckpointError, DeviceError for what is not there, MemoryError, ValueError as ``check_options``.
    """
    from crayoncodec.painting import checkpoints

    check_options(backend, device, precision)
    name = _chosen(checkpoints.read_card(checkpoints.find(model)), backend, device, precision)
    if name == "torch":
        from crayoncodec.painting.pytorch import TorchBackend

        in_one_thread_if_forked()
        network, _ = checkpoints.load(model)
        return TorchBackend(network, device, precision)
    from crayoncodec.painting import runtimes

    return runtimes.load(model, name, precision)


def refiner(device: Device) -> Network:
    """The network of whole numbers behind nested grids: on a CPU by kernels, unless CUDA is asked for.

    Raises CheckpointError, and DeviceError for CUDA where there is none.
    """
    from crayoncodec.color import refiner

    network = refiner.load()
    if device != "cuda":
        return network
    from crayoncodec.painting.pytorch import IntegersOnDevice

    return IntegersOnDevice(network, device)


def _chosen(card: Card, backend: Name, device: Device, precision: Precision) -> Name:
    """The backend to load. Raises DeviceError if there is none, or not the one that is asked for."""
    graph = card.graph("int8" if precision == "int8" else "float32") is not None
    if backend != "auto":
        runtime = RUNTIMES[backend]
        if not runtime.installed:
            raise DeviceError(
                f"backend {backend} needs {runtime.module}, expected pip install {runtime.brought_by}"
            )
        check_forked(backend)
        if backend != "torch" and not graph:
            raise DeviceError(f"network {card.name} has no {_kind(precision)} for {backend}, expected torch")
        return backend
    on_cuda = device == "cuda" or (device == "auto" and precision != "int8" and has_cuda())
    if on_cuda:
        return "torch"
    able = [name for name in RUNTIMES if precision in (*RUNTIMES[name].precisions, "auto")]
    if not graph and "torch" not in able:
        raise DeviceError(f"network {card.name} has no {_kind(precision)}, expected another precision")
    for name in able:
        if RUNTIMES[name].installed and runs_here(name) and (name == "torch" or graph):
            return name
    raise DeviceError(
        f"precision {precision} needs {' or '.join(RUNTIMES[name].module for name in able)}, "
        f"expected pip install {RUNTIMES[able[0]].brought_by}"
    )


def _kind(precision: Precision) -> str:
    return "int8 graph" if precision == "int8" else "graph"


@cache
def has_cuda() -> bool:
    """Whether PyTorch can compute on a CUDA device. It is not imported where there is no NVIDIA driver."""
    if not _has_nvidia_device():
        return False
    import torch

    return torch.cuda.is_available()


def _has_nvidia_device() -> bool:
    """Ask the driver itself, if there is one: cuInit and cuDeviceGetCount return 0 for success."""
    import ctypes

    try:
        driver = ctypes.CDLL("nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1")
    except OSError:
        return False
    count = ctypes.c_int()
    return driver.cuInit(0) == 0 and driver.cuDeviceGetCount(ctypes.byref(count)) == 0 and count.value > 0
