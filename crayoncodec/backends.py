"""Where a network runs: numpy planes in, AB out. PyTorch so far; imports torch, so import it late."""

from __future__ import annotations

from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from crayoncodec.errors import DeviceError
from crayoncodec.guided import Planes

F32 = NDArray[np.float32]


def torch_device(name: str) -> torch.device:
    """The device for "auto", "cpu" or "cuda". Raises DeviceError for "cuda" where there is none."""
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    if name == "cuda" and not torch.cuda.is_available():
        raise DeviceError("device cuda is not available here, expected auto or cpu")
    return torch.device(name)


class TorchBackend:
    """A network on a device."""

    def __init__(self, network: nn.Module, device: str = "auto") -> None:
        """Move ``network`` to "auto", "cpu" or "cuda". Raises DeviceError for "cuda" where there is none."""
        self.device = torch_device(device)
        self.network = network.to(self.device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.reach = cast(int, network.reach)
        self.multiple = cast(int, network.multiple)

    @torch.inference_mode()
    def predict(self, planes: Planes, sparse: F32, coarseness: float) -> F32:
        """Guided planes of a window and its sparse samples (grid.scatter_samples) -> AB f32[2,H,W]."""
        try:
            return self._predict(planes, sparse, coarseness)
        except RuntimeError as error:
            if "alloc" in str(error) or "out of memory" in str(error):
                raise MemoryError(f"not enough memory on {self.device} for the network") from error
            raise

    def _predict(self, planes: Planes, sparse: F32, coarseness: float) -> F32:
        given = planes._asdict() | {"sparse": sparse}
        arguments = [
            torch.tensor([coarseness], device=self.device) if name == "coarseness"
            else self._tensor(given[name])
            for name in cast(tuple[str, ...], self.network.inputs)
        ]  # fmt: skip
        return cast(F32, self.network(*arguments)[0].cpu().numpy())

    def _tensor(self, plane: F32) -> torch.Tensor:
        """f32[H,W] or f32[C,H,W] -> f32[1,C,H,W] on the device."""
        array = np.ascontiguousarray(plane if plane.ndim == 3 else plane[None])
        return torch.from_numpy(array).to(self.device)[None]
