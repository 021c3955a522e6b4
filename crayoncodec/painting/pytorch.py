"""Any network in PyTorch, on a CPU or on CUDA. Imports torch, so import it late."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from typing import Any, Final, NamedTuple, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from crayoncodec.color.refiner import PLANES, Refiner
from crayoncodec.errors import CrayWarning, DeviceError
from crayoncodec.networks.behind_loop import IntegerRefiner
from crayoncodec.painting.guards import in_one_thread_if_forked, is_finite, is_out_of_memory

_BATCH_PIXELS: Final = 4 << 20
"""Most pixels of a batch: enough to keep a large GPU busy."""

F32 = NDArray[np.float32]
Feed = Mapping[str, F32]


def torch_device(name: str) -> torch.device:
    """The device for "auto", "cpu" or "cuda". Raises DeviceError for "cuda" where there is none."""
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    if name == "cuda" and not torch.cuda.is_available():
        raise DeviceError("device cuda is not available here, expected auto or cpu")
    return torch.device(name)


class TorchBackend:
    """recolorize.Backend: a network on a device, several windows of one size at a time where that is CUDA."""

    def __init__(
        self,
        network: nn.Module,
        device: str = "auto",
        precision: str = "auto",
        batch_pixels: int | None = None,
    ) -> None:
        """Move ``network`` to "auto", "cpu" or "cuda". Raises DeviceError for "cuda" where there is none.

        precision: "float32", "float16" or "bfloat16"; "auto" is float16 on CUDA, float32 on a CPU.
        batch_pixels: of the windows that are computed at a time; by default one window on a CPU.
        """
        self.device = torch_device(device)
        on_cuda = self.device.type == "cuda"
        if precision == "auto":
            precision = "float16" if on_cuda else "float32"
        self.dtype: torch.dtype = getattr(torch, precision)
        with _errors(self.device):
            network = network.to(self.device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.network = network
        self.inputs = cast(tuple[str, ...], self.network.inputs)
        self.reach = cast(int, network.reach)
        self.multiple = cast(int, network.multiple)
        self._batch_pixels = batch_pixels or (_BATCH_PIXELS if on_cuda else 1)

    def predict(self, windows: Iterable[Feed], coarseness: float) -> Iterator[F32]:
        """As recolorize.Backend. Raises DeviceError for a network that cannot be run, MemoryError."""
        in_one_thread_if_forked()
        waiting: _Batch | None = None
        for group in _groups(windows, self._batch_pixels):
            with _errors(self.device):
                started = self._start(group, coarseness)
            # While this one is computed the one before is fetched, and the caller makes the next.
            if waiting is not None:
                yield from self._fetched(waiting)
            waiting = started
        if waiting is not None:
            yield from self._fetched(waiting)

    def on_cpu(self) -> TorchBackend | None:
        """The same network on the CPU, if it is elsewhere."""
        if self.device.type == "cpu":
            return None
        torch.cuda.empty_cache()
        # Other threads may be using this one, and there is no memory for a copy beside it.
        parameters = {id(each): nn.Parameter(each.cpu(), False) for each in self.network.parameters()}
        return TorchBackend(copy.deepcopy(self.network, parameters), "cpu")

    def _fetched(self, batch: _Batch) -> F32:
        """AB f32[B,2,H,W]."""
        with _errors(self.device):
            ab = batch.fetched()
        if not is_finite(ab):
            raise DeviceError(
                f"backend torch: what comes out on {self.device} in {str(self.dtype).removeprefix('torch.')} "
                "is not finite, expected another precision or network"
            )
        return ab

    @torch.inference_mode()
    def _start(self, group: list[Feed], coarseness: float) -> _Batch:
        """Begin to compute windows of one size; on CUDA this returns before it is done."""
        arguments = [
            torch.full((len(group),), coarseness, device=self.device) if name == "coarseness"
            else self._sent([window[name] for window in group])
            for name in self.inputs
        ]  # fmt: skip
        autocast = (
            torch.autocast(self.device.type, self.dtype) if self.dtype != torch.float32 else nullcontext()
        )
        with autocast:
            found: Tensor = self.network(*arguments).float()
        if self.device.type != "cuda":
            return _Batch(found, None)
        fetched = torch.empty(found.shape, dtype=torch.float32, pin_memory=True)
        fetched.copy_(found, non_blocking=True)
        done = torch.cuda.Event()  # type: ignore[no-untyped-call]
        done.record()
        return _Batch(fetched, done)

    def _sent(self, planes: list[F32]) -> Tensor:
        """f32[H,W] or f32[C,H,W] of each window -> f32[B,C,H,W] on the device."""
        stacked = np.stack([plane if plane.ndim == 3 else plane[None] for plane in planes])
        batch = torch.from_numpy(stacked)
        if self.device.type == "cuda":
            batch = batch.pin_memory()
        return batch.to(self.device, non_blocking=True, memory_format=torch.channels_last)


class IntegersOnDevice:
    """color.refiner.Network on a device, in float32 without TensorFloat-32: the same integers as on a CPU."""

    def __init__(self, refiner: Refiner, device: str) -> None:
        """Raises DeviceError if the device is not there, or computes others."""
        self._cpu, self.device = refiner, torch_device(device)
        with _errors(self.device):
            self._network = IntegerRefiner(refiner.layers).to(self.device)
        rng = np.random.default_rng(0)
        given = rng.integers(-127, 128, (PLANES, 32, 48)).astype(np.int8)
        if not np.array_equal(self._computed(given), refiner.outputs(given)):
            raise DeviceError(
                f"the network's whole numbers on {self.device} are not those of the CPU, expected device cpu"
            )

    def outputs(self, given: NDArray[np.integer[Any]]) -> NDArray[np.int32]:
        """As color.refiner.Network; by the CPU, with a CrayWarning, where memory does not suffice."""
        in_one_thread_if_forked()
        try:
            return self._computed(given)
        except MemoryError as error:
            warnings.warn(f"{error}, trying the CPU", CrayWarning, stacklevel=2)
            return self._cpu.outputs(given)

    @torch.inference_mode()
    def _computed(self, given: NDArray[np.integer[Any]]) -> NDArray[np.int32]:
        with _errors(self.device):
            planes = torch.from_numpy(np.ascontiguousarray(given)).to(self.device)
            found: NDArray[np.int32] = self._network(planes[None])[0].numpy(force=True)
        return found


@contextmanager
def _errors(device: torch.device) -> Iterator[None]:
    """PyTorch raises RuntimeError for all that goes wrong: here it becomes MemoryError or DeviceError."""
    try:
        yield
    except (RuntimeError, ValueError, TypeError) as error:
        if is_out_of_memory(error):
            raise MemoryError(f"not enough memory on {device} for the network") from error
        reason = " ".join(str(error).split())
        raise DeviceError(f"backend torch cannot run the network on {device} ({reason})") from error


class _Batch(NamedTuple):
    """Results that are there as soon as ``done`` has happened."""

    ab: Tensor
    """f32[B,2,H,W] on the CPU."""
    done: Any
    """torch.cuda.Event, or None."""

    def fetched(self) -> F32:
        if self.done is not None:
            self.done.synchronize()
        ab: F32 = self.ab.numpy()
        return ab


def _groups(windows: Iterable[Feed], pixels: int) -> Iterator[list[Feed]]:
    """Neighbours of one size, together of at most so many pixels, or one."""
    group: list[Feed] = []
    for window in windows:
        shape = window["lightness"].shape
        if group and (
            group[0]["lightness"].shape != shape or (len(group) + 1) * shape[-2] * shape[-1] > pixels
        ):
            yield group
            group = []
        group.append(window)
    if group:
        yield group
