"""Colour stored in one way or another, beside the same lightness (AVIF at quality 80).

One grid as in the paper, its extra samples (``chosen``), segments (``segments``), nested grids, and no colour
at all. Bytes are the colour's with its framing, all that a decoder needs; errors are of 8-bit RGB.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from importlib import metadata

import numpy as np
from PIL import features

import crayoncodec
from benchmarks.codecs.adapter import Options, Unavailable, label, varied
from benchmarks.codecs.ours import GUIDED, REFINER, NestedCray, decoder_versions
from benchmarks.measuring import distortion
from benchmarks.measuring.results import Values
from benchmarks.suites import chosen, segments
from benchmarks.suites.spacings import network_backend
from crayoncodec.color import cielab, srgb
from crayoncodec.color.grid import sample_grid
from crayoncodec.color.guided import guided_upsample
from crayoncodec.format import container, decoding, uniform
from crayoncodec.format.chunks import FRAME, ONE_GRID_FRAMING
from crayoncodec.format.container import MAGIC
from crayoncodec.painting.recolorize import painter, whole

ONE_GRID, COMPACT, NO_COLOR = "one grid, guided", "one grid, compact", "no colour"
CHOSEN = "one grid and chosen samples"
_QUALITY = 80
_BESIDE: Options = {"quality": _QUALITY, "lightness": "avif"}  # with which nothing is a drawing
_AVIF = str(features.version("avif"))
_SPACINGS = (4, 6, 10, 15, 20, 40, 50, 60, 80, 100)
"""Those of the paper, and finer ones."""
_COLOR_QUALITIES = (0, 15, 30, 45, 60)
_SIDES = (7, 12, 20, 35, 60)
"""Of segments, in pixels, if they were squares."""
_WORTH = ((60, 40000), (40, 20000), (40, 8000), (20, 4000), (10, 1500), (6, 600))
"""Spacing, and the squared error that an extra sample has to take off."""
_NESTED = {
    name: NestedCray(name, colors=varied("color_quality", _COLOR_QUALITIES), decoder=decoder, fixed=_BESIDE)
    for name, decoder in (("nested grids, guided", GUIDED), ("nested grids, network", REFINER))
}
Segmented = Callable[[np.ndarray, int], np.ndarray]
_SEGMENTED: dict[str, tuple[Segmented, bool]] = {
    "segments, flat": (segments.felzenszwalb, False),
    "segments, guided": (segments.felzenszwalb, True),
    "segments by SLIC, guided": (segments.slic, True),
}

SETTINGS: dict[str, tuple[str, ...]] = {
    NO_COLOR: ("n=0",),
    ONE_GRID: tuple(f"n={n}" for n in _SPACINGS),
    COMPACT: tuple(f"n={n}" for n in (4, 6, 10, 15, 20, 40, 60, 100)),
    **{name: tuple(map(label, codec.colors)) for name, codec in _NESTED.items()},
    **{name: tuple(f"side={side}" for side in _SIDES) for name in _SEGMENTED},
    CHOSEN: tuple(f"n={n} worth={worth}" for n, worth in _WORTH),
}


def measure(codec: str, setting: str, rgb: np.ndarray) -> Values:
    """Bytes of colour and its errors; of one grid also bytes of whole files over those of the raw picture."""
    size, decoded = shown(codec, setting, rgb)
    rest = _without_color(rgb.tobytes(), rgb.shape) if codec == ONE_GRID else {}
    ratios = {name: (others + size) / rgb.size for name, others in rest.items()}
    return {
        "color_bytes": size,
        "color_bpp": 24 * size / rgb.size,
        **distortion.of_color(rgb, decoded),
    } | ratios


def shown(codec: str, setting: str, rgb: np.ndarray) -> tuple[int, np.ndarray]:
    """Bytes of colour, and the picture that is made of them, u8[H,W,3]."""
    options = {name: int(value) for name, value in (part.split("=") for part in setting.split())}
    picture = rgb.tobytes(), rgb.shape
    if codec in _NESTED:
        data = _nested(*picture, **options)
        return _NESTED[codec].color_bytes(rgb, data, options), _NESTED[codec].decode(data)
    plane = _lightness(*picture)
    if codec == NO_COLOR:
        return 0, np.dstack([plane] * 3)
    _, ab = cielab.rgb_to_lab(rgb)
    if codec == CHOSEN:
        size, painted = _with_chosen(ab, plane, **options)
    elif codec in _SEGMENTED:
        size, painted = _in_segments(ab, plane, options["side"], *_SEGMENTED[codec])
    else:
        grid = sample_grid(ab, options["n"])
        size = ONE_GRID_FRAMING + len(uniform.encode(grid.samples)[0])
        backend = network_backend("compact") if codec == COMPACT else None
        painted = painter(plane, grid, backend)(whole(plane))
    return size, srgb.lab_to_rgb(plane, painted)


def versions(codec: str) -> dict[str, str]:
    """The libraries behind each of them. Raises Unavailable."""
    if codec in _NESTED:
        return _NESTED[codec].versions()
    found = decoder_versions("compact" if codec == COMPACT else GUIDED)
    own = "scikit-image" if codec in _SEGMENTED else "constriction" if codec == CHOSEN else None
    try:
        return found | {"avif": _AVIF} | ({own: metadata.version(own)} if own else {})
    except metadata.PackageNotFoundError as error:
        raise Unavailable(f"{own} is not installed") from error


def _with_chosen(ab: np.ndarray, plane: np.ndarray, n: int, worth: int) -> tuple[int, np.ndarray]:
    grid = sample_grid(ab, n)
    base = guided_upsample(grid, cielab.as_lightness(plane))
    kernels = chosen.Kernels(plane, n)
    data = chosen.encode(chosen.choose(ab - base, kernels, worth), kernels.blocks)
    extra = chosen.decode(data, kernels.blocks)
    size = ONE_GRID_FRAMING + len(uniform.encode(grid.samples)[0]) + FRAME + len(data)
    return size, base + kernels.painted(extra)


def _in_segments(
    ab: np.ndarray, plane: np.ndarray, side: int, segmented: Segmented, is_guided: bool
) -> tuple[int, np.ndarray]:
    labels = _labels(plane.tobytes(), plane.shape, side, segmented)
    data, coder = segments.encode(segments.means(ab, labels), labels)
    painted = segments.flat(segments.decode(data, coder, labels), labels)
    return ONE_GRID_FRAMING + len(data), segments.filtered(painted, plane, side) if is_guided else painted


@lru_cache(len(_SIDES))
def _labels(plane: bytes, shape: tuple[int, int], side: int, segmented: Segmented) -> np.ndarray:
    return segmented(np.frombuffer(plane, np.uint8).reshape(shape), side)


@lru_cache(1)
def _without_color(rgb: bytes, shape: tuple[int, int, int]) -> dict[str, int]:
    """Bytes of the rest of a file, which is the same for every grid."""
    picture = np.frombuffer(rgb, np.uint8).reshape(shape)
    written = {"ratio": _BESIDE, "lossless_ratio": {"lossless": True, "lightness": "webp"}}
    sizes = {}
    for name, options in written.items():
        chunks = crayoncodec.info(crayoncodec.encode(picture, n=100, **options)).chunks
        sizes[name] = sum(chunk.size for chunk in chunks if chunk.type != "GRID") + len(MAGIC)
    return sizes


@lru_cache(1)
def _lightness(rgb: bytes, shape: tuple[int, int, int]) -> np.ndarray:
    """The decoded plane, u8[H,W], of a picture: the same in all these files."""
    data = crayoncodec.encode(np.frombuffer(rgb, np.uint8).reshape(shape), n=100, **_BESIDE)
    return decoding.decode_lightness(container.unpack(data))


@lru_cache(len(_COLOR_QUALITIES))
def _nested(rgb: bytes, shape: tuple[int, int, int], color_quality: int) -> bytes:
    """A file, which two decoders show."""
    picture = np.frombuffer(rgb, np.uint8).reshape(shape)
    return crayoncodec.encode(picture, color_quality=color_quality, **_BESIDE)
