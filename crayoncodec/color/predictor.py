"""The network in the loop of nested grids, in whole numbers (docs/format.md, section 12)."""

from __future__ import annotations

from functools import cache
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from crayoncodec.color.layers import TOP, U8, Integers, Layers, named, read
from crayoncodec.machine import kernels, threads
from crayoncodec.machine.process import models_folder

SHA256: Final = {
    4: "b2421f653f8a13b65263a21bd4a60ac848de936fd7e66e3af76c10d08462a2d2",
}
"""Of models/predictor-V.safetensors: weights and frequency tables of the version V that files name."""
VERSION: Final = max(SHA256)
"""What encoders write."""
COARSE: Final = 4
"""Spacing from which on the coarse network predicts."""
SPREADS: Final = 64
"""Distributions that a symbol may have."""
MAX_SHIFT: Final = 4095

I16 = NDArray[np.int16]


class Predictor(Layers):
    """crayoncodec.networks.in_loop.Predictor as integers."""

    def trunk(self, features: Integers) -> U8:
        """Features of a level [FEATURES,h,w] -> what its first half is predicted from."""
        return self._hidden("first", features)

    def second(self, hidden: U8, known: Integers) -> U8:
        """... and, with what is known of the first half [KNOWN,h,w], its second half: only that is meant."""
        return self._hidden("later", hidden, known, half=1)

    def head(self, half: int, plane: int, hidden: U8, *first: Integers) -> tuple[I16, U8]:
        """Shifts, -MAX_SHIFT to MAX_SHIFT in 1/16 of a step, and spreads, of a plane's details [3,h,w].

        Only those of the half are meant. first: of the second plane, symbols and corrections of the first one
        [3,h,w], as of features.seen.
        """
        height, width = hidden.shape[1:]
        shifts, spreads = np.zeros((3, height, width), np.int16), np.zeros((3, height, width), np.uint8)
        names: tuple[str, ...] = (f"both.{half}", f"other.{half}") if plane else (f"one.{half}",)
        given = (hidden, *first) if plane else (hidden,)
        if self.has_kernels(*given):
            layers = tuple(self.packed[name] for name in names)
            threads.each(
                lambda rows: kernels.head(
                    layers, given, rows, half, shifts, spreads, (MAX_SHIFT, SPREADS - 1)
                ),
                threads.bands(height, width),
            )
            return shifts, spreads

        def part(window: threads.Window) -> None:
            out = self.convolve(names[0], *(planes[:, *window] for planes in given))
            for name in names[1:]:
                out = self.convolve(name, out.clip(0, TOP))
            shifts[:, *window] = out[:3].clip(-MAX_SHIFT, MAX_SHIFT)
            spreads[:, *window] = out[3:].clip(0, SPREADS - 1)

        threads.each(part, threads.windows(height, width), products=True)
        return shifts, spreads

    @staticmethod
    def integers(shifts: I16) -> I16:
        """The shifts as they are: training rounds here."""
        return shifts

    def _hidden(self, name: str, *planes: Integers, half: int | None = None) -> U8:
        """Through all layers of this name, 3 x 3 each; half: the pixels that are meant, of all by default."""
        last = sum(key.startswith(f"{name}.") for key in self.layers) - 1
        for k in range(last):
            planes = (self.layer(f"{name}.{k}", planes),)
        return self.layer(f"{name}.{last}", planes, half)


class Shipped(NamedTuple):
    """What models/predictor-V.safetensors holds."""

    coarse: Predictor
    """Of cells of 4 x 4 pixels and larger ones."""
    fine: Predictor
    """Of smaller cells, of which there are many: a smaller network."""
    frequencies: NDArray[np.uint32]
    """[SPREADS, n]: of symbol 0, of 1 and -1 each, of 2 and -2 each, ..., of the escape; see entropy."""

    def network(self, spacing: int) -> Predictor:
        """The one for a level."""
        return self.coarse if spacing >= COARSE else self.fine


@cache
def load(version: int) -> Shipped:
    """The networks of a version and their tables. Raises CheckpointError if the file is not the format's."""
    tensors = read(models_folder() / f"predictor-{version}.safetensors", SHA256[version])
    coarse, fine = (Predictor(named(tensors, f"{part}.")) for part in ("coarse", "fine"))
    return Shipped(coarse, fine, tensors["frequencies"])
