"""Our own format: ways of writing .cray files, and ways of decoding them."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property
from importlib import metadata
from typing import Any

import numpy as np
from PIL import features

from benchmarks.codecs.adapter import Codec, Options, Unavailable, varied

GUIDED = "guided"
WITHOUT_NETWORK = ("gray", "bilinear", "bicubic", GUIDED)
"""Decoders that need no checkpoint; bilinear and bicubic are yardsticks, not in the product."""
REFINER = "nested"
"""The network of whole numbers behind nested grids, by the name that rows have had."""
AUTO = "auto"
"""That network or none, as the file says or is expected to be closer: what ``cray decode`` shows."""
NESTED = "cray nested"
ONE_GRID = "cray one grid"
_QUALITIES = (40, 60, 80, 90)
_TIED = varied("quality", (10, 20, 35, 50, 65, 80, 90))
_COLOR_QUALITIES = varied("color_quality", range(0, 100, 10))
_COLOR_SPACINGS = (2, 3, 4, 5, 6, 8, 10, 13, 16, 20, 30)
_FOLLOWING = ((10, 20), (8, 35), (8, 50), (6, 65), (4, 80), (4, 88), (2, 94))
"""Spacing and quality, both growing finer together: the pairs that have the most SSIMULACRA2 for their bytes
on 12 photographs that are not Kodak's (suite ``choices``, "spacing beside quality")."""
_SLOW = 7
_FITTED = 5
"""Effort from which on cells are fitted to the network, some or all of them."""


@dataclass(frozen=True, eq=False)
class Cray(Codec):
    """Our own format: a way of writing .cray files and a way of decoding them."""

    decoder: str = "compact"
    """One of WITHOUT_NETWORK, REFINER, AUTO, or a checkpoint's name or path."""
    fixed: Options = field(default_factory=dict)
    """What crayoncodec.encode gets besides the setting."""

    def versions(self) -> dict[str, str]:
        """As Codec says; a network's version is that of its card, with the SHA-256 of its weights."""
        return decoder_versions(self.decoder) | {"avif": str(features.version("avif"))}

    def encode(self, rgb: np.ndarray, options: Options) -> bytes:
        """As Codec says."""
        import crayoncodec

        return crayoncodec.encode(rgb, **self.fixed, **options)

    def decode(self, data: bytes) -> np.ndarray:
        """As Codec says; networks stay loaded, as in a crayoncodec.Decoder."""
        if self.decoder == "bicubic":
            return _decode_bicubic(data)
        return self._decoder.decode(data)

    def color_bytes(self, rgb: np.ndarray, data: bytes, options: Options) -> int:
        """The GRID chunks with their framing, and what tells AUTO how they are shown."""
        import crayoncodec

        counted = ("GRID", "shoW") if self.decoder == AUTO else ("GRID",)
        return sum(chunk.size for chunk in crayoncodec.info(data).chunks if chunk.type in counted)

    @cached_property
    def _decoder(self) -> Any:
        import crayoncodec

        if self.decoder in ("gray", "guided", AUTO):
            return crayoncodec.Decoder(color=self.decoder, device="cpu")
        model = None if self.decoder == REFINER else self.decoder
        return crayoncodec.Decoder(color="neural", model=model, device="cpu")


@dataclass(frozen=True, eq=False)
class NestedCray(Cray):
    """Our own format with nested grids, the default."""

    decoder: str = "nested"

    def versions(self) -> dict[str, str]:
        """As Cray says, with the entropy coder, networks in the loop, the one that cells are fitted to."""
        from crayoncodec.color import predictor
        from crayoncodec.encoding.parameters import DEFAULT_EFFORT

        loop = f"{predictor.VERSION}, SHA-256 {predictor.SHA256[predictor.VERSION]}"
        fitted = decoder_versions("nested") if self.fixed.get("effort", DEFAULT_EFFORT) >= _FITTED else {}
        own = {"constriction": metadata.version("constriction"), "predictor": loop}
        return super().versions() | fitted | own


def decoder_versions(decoder: str) -> dict[str, str]:
    """Libraries of one of our decoders, and version and SHA-256 of its weights. Raises Unavailable."""
    from crayoncodec import CheckpointError
    from crayoncodec.color import refiner
    from crayoncodec.painting import checkpoints

    names = ["crayoncodec", "numpy", "opencv-python", "pillow", "zstandard"]
    libraries = {name: metadata.version(name) for name in names}
    if decoder in WITHOUT_NETWORK:
        return libraries
    if decoder in (REFINER, AUTO):
        return libraries | {"refiner": f"{refiner.VERSION}, SHA-256 {refiner.SHA256}"}
    try:
        card, _ = checkpoints.verify(decoder)
    except CheckpointError as error:
        raise Unavailable(str(error)) from error
    return libraries | {
        "torch": metadata.version("torch"),
        card.name: f"{card.version}, SHA-256 {card.sha256}",
    }


def _decode_bicubic(data: bytes) -> np.ndarray:
    """Bicubic colours: a decoder that does not look at the lightness."""
    from crayoncodec.color import srgb
    from crayoncodec.color.guided import upsample
    from crayoncodec.format import container, decoding

    file = container.unpack(data)
    plane = decoding.decode_lightness(file)
    grid = decoding.decode_grid(file, plane)
    if grid is None:
        return np.dstack([plane] * 3)
    ab = upsample(grid.ab(), grid.spacing, grid.sampling, (0, 0, *plane.shape))
    return srgb.lab_to_rgb(plane, ab)


def _cray(name: str, decoder: str = "compact", n: int = 20, **fixed: Any) -> Cray:
    files = tuple({"n": n, "quality": quality} for quality in _QUALITIES)
    return Cray(name, files=files, decoder=decoder, fixed=fixed)


def _cray_colors(name: str, decoder: str, quality: int = 60, sampling: str = "mean") -> Cray:
    return Cray(
        name,
        colors=varied("n", _COLOR_SPACINGS),
        decoder=decoder,
        fixed={"quality": quality, "sampling": sampling},
    )


def _nested_colors(decoder: str, effort: int = 5, quality: int = 80) -> NestedCray:
    name = NESTED if decoder == "nested" else f"{NESTED} {decoder}"
    name += "" if effort == 5 else f", effort {effort}"
    name += "" if quality == 80 else f", lightness q={quality}"
    fixed = {"quality": quality, "effort": effort, "lightness": "avif"}  # with which nothing is a drawing
    return NestedCray(name, colors=_COLOR_QUALITIES, decoder=decoder, fixed=fixed)


OURS: tuple[Codec, ...] = (
    NestedCray("cray", files=_TIED, typical={"quality": 80}),
    NestedCray(f"cray, effort {_SLOW}", files=_TIED, fixed={"effort": _SLOW}),
    NestedCray("cray without a network", files=_TIED, typical={"quality": 80}, decoder="guided"),
    *(_nested_colors("nested", effort) for effort in (5, _SLOW)),
    *(_nested_colors("guided", effort) for effort in (5, 1, 6, _SLOW)),
    *(_nested_colors(decoder, quality=60) for decoder in ("nested", "guided", AUTO)),
    *(_nested_colors(AUTO, effort) for effort in (5, _SLOW)),
    Cray(
        ONE_GRID,
        files=tuple({"n": n, "quality": q} for n, q in _FOLLOWING),
        typical={"n": 20, "quality": 80},
    ),
    _cray("cray n=6", n=6),
    _cray("cray n=10", n=10),
    _cray("cray n=20"),
    replace(_cray("cray n=20 guided", "guided"), typical={"n": 20, "quality": 80}),
    _cray("cray n=20 bicubic", "bicubic"),
    replace(_cray("cray n=20 gray", "gray"), typical={"n": 20, "quality": 80}),
    _cray("cray n=20 crayon", "crayon"),
    _cray("cray n=20 points", sampling="point"),
    _cray("cray n=20 points guided", "guided", sampling="point"),
    _cray("cray n=20 lightness=webp", lightness="webp"),
    *(
        Cray(
            f"cray lossless lightness={coder}",
            files=({"n": 20},),
            typical={"n": 20} if coder == "webp" else None,
            fixed={"lossless": True, "lightness": coder},
        )
        for coder in ("webp", "zstd")
    ),
    _cray_colors("cray compact, lightness q=60", "compact"),
    _cray_colors("cray crayon", "crayon"),
    _cray_colors("cray guided", "guided"),
    _cray_colors("cray bicubic", "bicubic"),
    _cray_colors("cray guided, points", "guided", sampling="point"),
)
