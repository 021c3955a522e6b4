"""Where a network runs: in PyTorch, on a CPU or on CUDA. It is imported when a network is loaded."""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING, Final, Literal, get_args

from crayoncodec.machine import process
from crayoncodec.painting.guards import in_one_thread_if_forked

if TYPE_CHECKING:
    from crayoncodec.color.refiner import Network
    from crayoncodec.painting.recolorize import Backend

Device = Literal["auto", "cpu", "cuda"]
DEVICES: Final[tuple[Device, ...]] = get_args(Device)
Precision = Literal["auto", "float32", "float16", "bfloat16"]
PRECISIONS: Final[tuple[Precision, ...]] = get_args(Precision)


def check_options(device: Device, precision: Precision) -> None:
    """Raise ValueError for a name that is not known."""
    for what, value, known in (("device", device, DEVICES), ("precision", precision, PRECISIONS)):
        if value not in known:
            raise ValueError(f"{what} is {value!r}, expected one of {', '.join(known)}")


def is_installed() -> bool:
    """Whether there is a PyTorch to run networks; does not import it."""
    return find_spec("torch") is not None


def load(model: str, *, device: Device = "auto", precision: Precision = "auto") -> Backend:
    """A checkpoint (a shipped one's name or a path), loaded where it is to run.

    device: by default CUDA where it is there. precision: by default float16 on CUDA and float32 on a CPU.

    Raises CheckpointError, DeviceError for what is not there, MemoryError, ValueError as ``check_options``.
    """
    from crayoncodec.painting import checkpoints

    check_options(device, precision)
    in_one_thread_if_forked()
    with process.uninterrupted():
        network, _ = checkpoints.load(model)
        from crayoncodec.painting.pytorch import TorchBackend

    return TorchBackend(network, device, precision)


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
