"""Colours that a file says are not sRGB's, without an ICC profile: code points (ITU-T H.273, "CICP") of PNG,
AVIF and HEIC files, PNG's gAMA and cHRM.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import IO, Any, Final, cast

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from crayoncodec.color import cielab
from crayoncodec.files import formats
from crayoncodec.machine import threads

F32 = NDArray[np.float32]
U8 = NDArray[np.uint8]

PQ: Final = 16
HLG: Final = 18
_SRGB_CURVE: Final = 13
_UNSPECIFIED: Final = 2
_LINEAR: Final = 8
_AS_SRGB: Final = (1, _UNSPECIFIED, 6, _SRGB_CURVE, 14, 15)
"""Transfer functions that are sRGB's or, as those of BT.601, 709 and 2020, shown as if they were."""
_GAMMAS: Final = {4: 2.2, 5: 2.8, _LINEAR: 1.0, 17: 2.6}
_CURVE_NAMES: Final = {
    4: "gamma 2.2", 5: "gamma 2.8", _LINEAR: "linear", PQ: "PQ", 17: "gamma 2.6", HLG: "HLG",
}  # fmt: skip
_WHITE: Final = 203.0
"""cd/m² of what PQ and HLG show as paper white (ITU-R BT.2408)."""
_HLG_PEAK: Final = 1000.0
"""cd/m² of the display that HLG's system gamma is for (ITU-R BT.2100)."""

Chromaticities = tuple[float, ...]
"""x, y of white, red, green, blue."""
_D65: Final = (0.3127, 0.329)
_BT709: Final = (*_D65, 0.64, 0.33, 0.3, 0.6, 0.15, 0.06)
_PRIMARIES: Final[dict[int, tuple[str, Chromaticities]]] = {
    1: ("BT.709", _BT709),
    _UNSPECIFIED: ("BT.709", _BT709),
    4: ("BT.470 M", (0.31, 0.316, 0.67, 0.33, 0.21, 0.71, 0.14, 0.08)),
    5: ("BT.601 625", (*_D65, 0.64, 0.33, 0.29, 0.6, 0.15, 0.06)),
    6: ("BT.601 525", (*_D65, 0.63, 0.34, 0.31, 0.595, 0.155, 0.07)),
    7: ("SMPTE 240M", (*_D65, 0.63, 0.34, 0.31, 0.595, 0.155, 0.07)),
    9: ("BT.2020", (*_D65, 0.708, 0.292, 0.17, 0.797, 0.131, 0.046)),
    11: ("DCI-P3", (0.314, 0.351, 0.68, 0.32, 0.265, 0.69, 0.15, 0.06)),
    12: ("Display P3", (*_D65, 0.68, 0.32, 0.265, 0.69, 0.15, 0.06)),
    22: ("EBU 3213", (*_D65, 0.63, 0.34, 0.295, 0.605, 0.155, 0.077)),
}
_SAME_GAMMA: Final = 0.01
"""Of gAMA, to sRGB's 1/2.2, as libpng has it."""
_LEAST_GAMMA: Final = 16e-5
_MOST_GAMMA: Final = 6250.0
"""What libpng takes for gAMA; other values are damage."""
_SAME_CHROMATICITY: Final = 0.005
_BRADFORD: Final = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])


@dataclass(frozen=True)
class ColorSpace:
    """What RGB values mean."""

    name: str
    primaries: Chromaticities
    transfer: int
    """Of H.273; 0 for ``gamma``."""
    gamma: float = 1.0
    """Linear value = value ^ gamma."""

    @property
    def is_hdr(self) -> bool:
        """Whether there may be brighter things than white."""
        return self.transfer in (PQ, HLG)


class UnknownColorSpaceError(ValueError):
    """Code points that are not known here; its text names them."""


def stated(image: Image.Image) -> ColorSpace | None:
    """What a picture that is opened, but not loaded yet, says of its colours; None for sRGB or nothing.

    Raises UnknownColorSpaceError.
    """
    code_points = _code_points(image)
    if code_points is not None:
        return _of_code_points(*code_points)
    if "srgb" in image.info:
        return None
    gamma = image.info.get("gamma") or 1 / 2.2
    if not _LEAST_GAMMA <= gamma <= _MOST_GAMMA:
        raise UnknownColorSpaceError("of gamma that is none (gAMA)")
    primaries = image.info.get("chromaticity")
    plain = abs(gamma - 1 / 2.2) < _SAME_GAMMA
    if primaries is None or len(primaries) != 8 or np.allclose(primaries, _BT709, atol=_SAME_CHROMATICITY):
        primaries = _BT709
    elif min(primaries[1::2]) <= 0 or abs(np.linalg.det(_columns(primaries[2:]))) < 1e-6:
        raise UnknownColorSpaceError("of primaries that are none (cHRM)")
    if plain and primaries == _BT709:
        return None
    names = [f"of gamma {1 / gamma:.3g} (gAMA)"] * (not plain)
    names += ["of other primaries (cHRM)"] * (primaries != _BT709)
    return ColorSpace(
        " and ".join(names), tuple(primaries), _SRGB_CURVE if plain else 0, 1.0 if plain else 1 / gamma
    )


def to_srgb(rgb: U8, space: ColorSpace) -> U8:
    """Colours u8[H,W,3] of a space -> sRGB u8[H,W,3]; what sRGB does not have is clipped."""
    curve = _curve(space)
    is_gray = np.array_equal(rgb[..., 0], rgb[..., 1]) and np.array_equal(rgb[..., 0], rgb[..., 2])
    # Grey stays grey to the last bit.
    matrix = np.eye(3) if is_gray or space.primaries == _BT709 else _matrix(space.primaries)
    luminance = _columns(space.primaries[2:])[1:2] * _scales(space.primaries)
    converted = np.empty_like(rgb)

    def band(rows: slice) -> None:
        linear = cast(F32, cv2.LUT(np.ascontiguousarray(rgb[rows]), curve))
        if space.transfer == HLG:
            scene = cast(F32, cv2.transform(linear, luminance))
            system_gamma = np.maximum(scene, 1e-9) ** np.float32(0.2) * np.float32(_HLG_PEAK / _WHITE)
            linear = linear * system_gamma[..., None]
        converted[rows] = cielab.linear_to_rgb(cast(F32, cv2.transform(linear, matrix)))

    threads.each(band, threads.bands(len(rgb)))
    return converted


def _code_points(image: Image.Image) -> tuple[int, int] | None:
    """Primaries and transfer, from where the formats that have them have them; read before it is loaded."""
    profile = image.info.get("nclx_profile")  # pillow-heif's
    if profile:
        return int(profile["color_primaries"]), int(profile["transfer_characteristics"])
    if image.format not in ("PNG", "AVIF"):
        return None
    with formats.rewound(image) as stream:
        try:
            if image.format == "PNG":
                return _png_code_points(stream)
            boxes = stream.read(2**16)
            at = boxes.find(b"colrnclx")
            return None if at < 0 else struct.unpack_from(">HH", boxes, at + 8)
        except struct.error:
            return None


def _png_code_points(stream: IO[bytes]) -> tuple[int, int] | None:
    stream.seek(8)
    while True:
        size, kind = struct.unpack(">I4s", stream.read(8))
        if kind == b"cICP":
            primaries, transfer = struct.unpack(">BB", stream.read(2))
            return primaries, transfer
        if kind in (b"IDAT", b"IEND"):
            return None
        stream.seek(size + 4, 1)


def _of_code_points(primaries: int, transfer: int) -> ColorSpace | None:
    known = transfer in _AS_SRGB or transfer in _CURVE_NAMES
    if primaries not in _PRIMARIES or not known:
        raise UnknownColorSpaceError(f"of primaries {primaries} and transfer {transfer} (H.273)")
    name, chromaticities = _PRIMARIES[primaries]
    if transfer in _AS_SRGB:
        # The primaries of old television are as near as the tolerance.
        return ColorSpace(name, chromaticities, _SRGB_CURVE) if primaries not in (1, 2, 5, 6, 7, 22) else None
    curve = 0 if transfer in _GAMMAS else transfer
    return ColorSpace(f"{name} {_CURVE_NAMES[transfer]}", chromaticities, curve, _GAMMAS.get(transfer, 1.0))


def _curve(space: ColorSpace) -> F32:
    """Values 0 to 255 -> linear, f32[256]: 1 is white; of HLG the light of the scene, 0 to 1."""
    value = np.arange(256) / 255
    if space.transfer == PQ:
        power = value ** (32 / 2523)
        linear = (np.maximum(power - 107 / 128, 0) / (2413 / 128 - 2392 / 128 * power)) ** (8192 / 1305)
        linear *= 10_000 / _WHITE
    elif space.transfer == HLG:
        a, b, c = 0.17883277, 0.28466892, 0.55991073
        linear = np.where(value <= 0.5, value**2 / 3, (np.exp((value - c) / a) + b) / 12)
    elif space.transfer == _SRGB_CURVE:
        return cielab.linear_of_u8()
    else:
        linear = value**space.gamma
    return linear.astype(np.float32)


def _matrix(primaries: Chromaticities) -> NDArray[np.float64]:
    """Linear RGB of these primaries -> linear sRGB, white to white (Bradford)."""

    def to_xyz(of: Chromaticities) -> NDArray[np.float64]:
        return _columns(of[2:]) * _scales(of)

    white, target = (_BRADFORD @ _columns(of[:2])[:, 0] for of in (primaries, _BT709))
    adapted = np.linalg.inv(_BRADFORD) @ np.diag(target / white) @ _BRADFORD
    return np.asarray(np.linalg.inv(to_xyz(_BT709)) @ adapted @ to_xyz(primaries))


def _scales(primaries: Chromaticities) -> NDArray[np.float64]:
    """How much of each primary makes white."""
    return np.asarray(np.linalg.solve(_columns(primaries[2:]), _columns(primaries[:2])[:, 0]), np.float64)


def _columns(xy: Chromaticities) -> NDArray[np.float64]:
    """x, y, ... -> XYZ of luminance 1 in columns."""
    pairs: Any = np.reshape(xy, (-1, 2)).T
    x, y = pairs
    return np.array([x / y, np.ones_like(y), (1 - x - y) / y])
