"""Pictures as crayoncodec has them, and what becomes of one that is turned, converted or stripped."""

from __future__ import annotations

import warnings
from collections.abc import Collection
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from crayoncodec.errors import CrayWarning
from crayoncodec.files import metadata as meta
from crayoncodec.format.chunks import STRIPPABLE

U8 = NDArray[np.uint8]

UNUSABLE: Final = "ICC profile is unusable, left out"


@dataclass(frozen=True, eq=False)
class Picture:
    """An 8-bit picture with what belongs to it."""

    rgb: U8
    """sRGB u8[H,W,3]."""
    alpha: U8 | None = None
    """u8[H,W], 255 opaque."""
    metadata: dict[str, bytes] = field(default_factory=dict)
    """Any of exif (TIFF structure without the "Exif" prefix), icc_profile, xmp."""

    @property
    def is_gray(self) -> bool:
        """Whether red, green and blue are the same everywhere."""
        red, green, blue = np.moveaxis(self.rgb, -1, 0)
        return bool(np.array_equal(red, green) and np.array_equal(red, blue))

    def array(self) -> U8:
        """u8[H,W,3], or u8[H,W,4] with alpha."""
        return self.rgb if self.alpha is None else np.dstack([self.rgb, self.alpha])


def upright(picture: Picture) -> Picture:
    """The picture turned as its metadata says, which then says that it is upright."""
    orientation = meta.orientation(picture.metadata)
    turn = {
        2: lambda plane: plane[:, ::-1],
        3: lambda plane: plane[::-1, ::-1],
        4: lambda plane: plane[::-1],
        5: lambda plane: plane.swapaxes(0, 1),
        6: lambda plane: plane.swapaxes(0, 1)[:, ::-1],
        7: lambda plane: plane.swapaxes(0, 1)[::-1, ::-1],
        8: lambda plane: plane.swapaxes(0, 1)[::-1],
    }.get(orientation)
    if turn is None:
        return picture
    rgb, alpha = (
        None if plane is None else np.ascontiguousarray(turn(plane)) for plane in (picture.rgb, picture.alpha)
    )
    assert rgb is not None
    metadata = meta.upright(picture.metadata)
    dpi = meta.resolution(metadata)
    if orientation > 4 and dpi is not None and dpi[0] != dpi[1]:
        metadata["exif"] = meta.with_resolution(metadata["exif"], dpi[::-1])
    return Picture(rgb, alpha, metadata)


def in_srgb(picture: Picture) -> Picture:
    """The picture without its profile, its colours converted by it."""
    metadata = dict(picture.metadata)
    icc = metadata.pop("icc_profile", None)
    if icc is None:
        return picture
    image = to_pil(replace(picture, alpha=None))
    try:
        rgb = np.asarray(meta.to_srgb(image, icc))
    except meta.ProfileError:
        _warn(UNUSABLE)
        rgb = picture.rgb
    return Picture(rgb, picture.alpha, metadata)


def stripped(picture: Picture, names: str | Collection[str]) -> Picture:
    """The picture without some of its metadata, looking the same: "exif", "xmp", "icc", "gps", or "all".

    Where the orientation goes, the pixels are turned; where the profile goes, they are converted to sRGB;
    "gps" takes the position out of EXIF and XMP and leaves the rest. Raises ValueError for another name.
    """
    chosen = strippable(names)
    if "icc" in chosen:
        picture = in_srgb(picture)
    kept = {name: value for name, value in picture.metadata.items() if name not in chosen}
    if meta.orientation(kept) != meta.orientation(picture.metadata):
        picture = upright(picture)
        kept = {name: value for name, value in picture.metadata.items() if name not in chosen}
    if "gps" in chosen:
        with_position, kept = kept, meta.without_gps(kept)
        if with_position.keys() != kept.keys():
            _warn("EXIF is damaged, left out with the position")
    return replace(picture, metadata=kept)


def strippable(names: str | Collection[str]) -> frozenset[str]:
    """What ``stripped`` is to leave out. Raises ValueError."""
    if not isinstance(names, Collection):
        raise ValueError(f"strip is {names!r}, expected some of {', '.join(STRIPPABLE)}")
    chosen = frozenset([names] if isinstance(names, str) else names)
    for name in sorted(chosen - {*STRIPPABLE}, key=str):
        raise ValueError(f"strip is {name!r}, expected some of {', '.join(STRIPPABLE)}")
    return frozenset(("exif", "xmp", "icc")) if "all" in chosen else chosen


def to_pil(picture: Picture) -> Image.Image:
    """Picture -> PIL image in mode RGB, RGBA, or L and LA where it is grey and its profile allows."""
    mode = pil_mode(
        gray=picture.is_gray, alpha=picture.alpha is not None, icc=picture.metadata.get("icc_profile")
    )
    if mode.startswith("RGB"):
        return Image.fromarray(np.ascontiguousarray(picture.array()))
    bands = [picture.rgb[..., 0], *([] if picture.alpha is None else [picture.alpha])]
    return Image.merge(mode, [Image.fromarray(np.ascontiguousarray(band)) for band in bands])


def pil_mode(*, gray: bool, alpha: bool, icc: bytes | None) -> str:
    """The mode in which a picture is given back: the profile must be one for its channels."""
    mode = "L" if gray and (icc is None or profile_space(icc) == "GRAY") else "RGB"
    return mode + "A" * alpha


def profile_space(icc: bytes) -> str | None:
    """Colour space signature of an ICC profile; None, with a warning, if it is unusable."""
    space = meta.profile_space(icc)
    if space is None:
        _warn(UNUSABLE)
    return space


def _warn(text: str) -> None:
    warnings.warn(text, CrayWarning, stacklevel=3)
