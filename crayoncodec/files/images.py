"""Pictures as users have them -> 8-bit sRGB arrays: files, PIL images, modes, depths, orientation, profiles.

docs/format.md, "What an encoder does with other pictures", says what becomes of each. Files of other formats
are written by ``saving``.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, Final, cast

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from crayoncodec.errors import CrayError, CrayWarning, ImageError, LimitError
from crayoncodec.files import colorspaces, embedded, formats
from crayoncodec.files import metadata as meta
from crayoncodec.files.picture import UNUSABLE, Picture, profile_space
from crayoncodec.format.limits import DEFAULT_LIMITS, Limits

U8 = NDArray[np.uint8]

_GRAY_MODES: Final = ("1", "L", "LA", "La", "I", "F", "I;16", "I;16B", "I;16L", "I;16N")
_PHOTOMETRIC: Final = 262
_SAMPLE_FORMAT: Final = 339
_SIGNED: Final = 2
_MOST: Final = 0.99
"""Share of a floating-point picture's pixels that its range is judged by; the others may be highlights."""
_BRIGHT: Final = 16.0
"""The most that a floating-point picture where 1 is white has; one where 255 is would be black."""


def from_any(image: Any, limits: Limits = DEFAULT_LIMITS) -> Picture:
    """u8[H,W], u8[H,W,3], u8[H,W,4], a PIL image or a Picture -> Picture. Raises ImageError, LimitError."""
    if isinstance(image, Picture):
        return image
    if isinstance(image, Image.Image):
        return from_pil(image, limits)
    array = np.asarray(image)
    if array.dtype != np.uint8 or array.ndim not in (2, 3) or array.shape[2:] not in ((), (3,), (4,)):
        raise ImageError(
            f"image is {array.dtype}{list(array.shape)}, expected uint8 [H,W], [H,W,3] or [H,W,4], "
            "or a PIL image"
        )
    _check_size(array.shape[1], array.shape[0], limits)
    if array.ndim == 2:
        return Picture(np.dstack([array] * 3))
    return Picture(array[..., :3], array[..., 3] if array.shape[2] == 4 else None)


def open_picture(data: bytes, limits: Limits = DEFAULT_LIMITS, *, least: int = 0) -> Picture:
    """Read any format that Pillow or an installed plugin of it reads, from a file's bytes.

    ``limits`` take the place of Pillow's own. least: pixels that suffice along each side, where the format
    can be decoded reduced (JPEG); 0 for all. Raises ImageError, LimitError.
    """
    with _decoding(), formats.opened(data) as image:
        _check_size(image.width, image.height, limits)
        if least:
            image.draft("RGB", (least, least))
        formats.allocate(image)
        return from_pil(image, limits)


def open_size(data: bytes) -> tuple[int, int]:
    """Width and height as they are stored; pixels are not decoded. Raises ImageError, LimitError."""
    with _decoding(), formats.opened(data) as image:
        return image.size


def open_rgb(data: bytes) -> U8:
    """The pixels alone, u8[H,W,3]: what a Picture has besides them is left out without a warning.

    Raises ImageError, LimitError.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", CrayWarning)
        return open_picture(data).rgb


def from_pil(image: Image.Image, limits: Limits = DEFAULT_LIMITS) -> Picture:
    """First frame of a PIL image -> Picture. Raises ImageError if it cannot be decoded, LimitError."""
    _check_size(image.width, image.height, limits)
    with _decoding():
        frames = embedded.frames(image)
        # These are read before the pixels, after which Pillow closes the file.
        bits, space, boxes = embedded.bits(image), _stated_space(image), embedded.boxes(image)
        embedded.correct_planes(image, bits)
        deep = embedded.deep_colors(image, bits)
        image.load()
        metadata = embedded.found(image, boxes)
        left_out = embedded.left_out(image)
        icc = metadata.pop("icc_profile", None)
        space_of_icc = None if icc is None else profile_space(icc)
        pixels = np.asarray(_to_rgb(deep or image, bits, icc if space_of_icc == "CMYK" else None))
    if left_out:
        _warn(f"not kept: {', '.join(left_out)}")
    if frames > 1:
        _warn(f"{frames} frames, only the first is stored")
    picture = Picture(pixels[..., :3], pixels[..., 3] if pixels.shape[2] == 4 else None, metadata)
    if icc is not None and space_of_icc is not None and not (space is not None and space.is_hdr):
        space = None
        if not _profile_fits(space_of_icc, image.mode, picture):
            _warn(f"ICC profile is for {space_of_icc.strip()}, left out")
        elif space_of_icc != "CMYK":
            metadata["icc_profile"] = icc
    if space is not None:
        clipped = ", what is brighter than white is clipped" if space.is_hdr else ""
        _warn(f"colour space is {space.name}, converted to sRGB{clipped}")
        picture = replace(picture, rgb=colorspaces.to_srgb(picture.rgb, space))
    return picture


@contextmanager
def _decoding() -> Iterator[None]:
    """Pillow's plugins raise whatever their library gave them: here it becomes ImageError or LimitError."""
    try:
        yield
    except (CrayError, CrayWarning, MemoryError):
        raise
    except Image.DecompressionBombError as error:
        raise LimitError(str(error)) from error
    except Exception as error:
        raise ImageError(f"cannot be decoded ({error})") from error


def _check_size(width: int, height: int, limits: Limits) -> None:
    if width == 0 or height == 0:
        raise ImageError(f"image is {width} x {height}, expected at least 1 x 1")
    limits.check_size(width, height)


def _stated_space(image: Image.Image) -> colorspaces.ColorSpace | None:
    try:
        return colorspaces.stated(image)
    except colorspaces.UnknownColorSpaceError as error:
        _warn(f"colour space is {error}, taken as sRGB")
        return None


def _to_rgb(image: Image.Image, bits: int, icc: bytes | None) -> Image.Image:
    """Any mode -> RGB or RGBA."""
    if image.mode.startswith("I") or image.mode == "F":
        gray = Image.fromarray(_to_8_bits(image, bits))
        hidden = image.info.get("transparency")
        if isinstance(hidden, int):  # the one value of a 16-bit grey PNG that is transparent
            alpha = np.where(np.asarray(image) == hidden, 0, 255).astype(np.uint8)
            return Image.merge("LA", [gray, Image.fromarray(alpha)]).convert("RGBA")
        return gray.convert("RGB")
    if bits > 8:
        _warn(f"{bits} bits a channel, 8 are kept")
    if image.mode == "CMYK" and icc is not None:
        try:
            return meta.to_srgb(image, icc)
        except meta.ProfileError:
            _warn(UNUSABLE)
    if image.mode in ("L", "RGB") and bits != 8 and "transparency" in image.info:
        return _without_hidden(image, bits)
    transparent = image.mode in ("LA", "La", "PA", "RGBA", "RGBa") or "transparency" in image.info
    if image.mode == "La":
        image = image.convert("LA")
    mode = "RGBA" if transparent else "RGB"
    return image if image.mode == mode else image.convert(mode)


def _without_hidden(image: Image.Image, bits: int) -> Image.Image:
    """The one colour of a PNG file that is transparent is in its own depth, which Pillow does not heed."""
    hidden = np.atleast_1d(image.info["transparency"])
    hidden = hidden >> (bits - 8) if bits > 8 else hidden * 255 // (2**bits - 1)
    pixels = np.asarray(image).reshape(image.height, image.width, -1)
    alpha = np.where((pixels == hidden).all(-1), 0, 255).astype(np.uint8)
    rgba = image.convert("RGB")
    rgba.putalpha(Image.fromarray(alpha))
    return rgba


def _to_8_bits(image: Image.Image, bits: int) -> U8:
    """Samples of more than 8 bits u8[H,W], white (where that is not stated: as it is likely) as 255."""
    values = np.asarray(image)
    tags = getattr(image, "tag_v2", {}) if image.format == "TIFF" else {}
    if image.mode == "F":
        white = _float_white(values, stored=image.format is not None)
        _warn(f"floating-point numbers, taken as 0 to {white:g}; 8 bits are kept")
        values = np.nan_to_num(values, nan=0.0)
    elif image.mode.startswith("I;16"):
        white = 2 ** min(bits, 16) - 1 if tags else 65535
        _warn(f"{bits} bits a channel, 8 are kept")
    elif image.format == "PPM":  # Pillow has scaled it
        white = 65535
        _warn(f"{bits} bits a channel, 8 are kept")
    else:
        signed = tags.get(_SAMPLE_FORMAT, (1,))[0] == _SIGNED
        if tags and not signed:
            values = values.view(np.uint32)
        # Of 32 bits usually few are used; Pillow's own pictures of this mode have 8 or 16.
        whites = (32767,) if tags and bits == 16 else (255, 65535, 2 ** (32 - signed) - 1)[: 3 if tags else 2]
        white = next((each for each in whites if values.max() <= each), whites[-1])
        _warn(f"{bits}-bit integers, taken as 0 to {white}; 8 bits are kept")
    scaled = np.clip(values, 0, white) * np.float32(255 / white)
    if tags.get(_PHOTOMETRIC) == 0:  # white is zero, which Pillow sees to in 8 bits only
        scaled = 255 - scaled
    return cast(U8, np.floor(scaled + 0.5).astype(np.uint8))


def _float_white(values: NDArray[Any], *, stored: bool) -> float:
    """What is white is nowhere stated: in files usually 1, in Pillow's own pictures usually 255."""
    finite = values[np.isfinite(values)]
    most = float(finite.max(initial=0))
    if not stored:
        return 1.0 if most <= 1 else 255.0
    if most <= 1 or np.quantile(finite, _MOST) <= 1:
        return 1.0
    return most if most <= _BRIGHT else next((white for white in (255.0, 65535.0) if most <= white), most)


def _profile_fits(space: str, mode: str, picture: Picture) -> bool:
    """Whether an ICC profile of this colour space is one for the channels that a picture has."""
    if mode == "CMYK" or mode in _GRAY_MODES:
        return space == ("CMYK" if mode == "CMYK" else "GRAY")
    return space == "RGB " or (space == "GRAY" and picture.is_gray)


def _warn(text: str) -> None:
    warnings.warn(text, CrayWarning, stacklevel=3)
