"""Pictures as users have them <-> 8-bit sRGB arrays: files, PIL images, modes, metadata.

docs/format.md, "What an encoder does with other pictures", says what becomes of each mode.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms, PngImagePlugin, UnidentifiedImageError

from crayoncodec.container import DEFAULT_LIMITS, Limits
from crayoncodec.errors import CrayError, CrayWarning, ImageError, LimitError

U8 = NDArray[np.uint8]

EXIF_PREFIX: Final = b"Exif\0\0"
"""What JPEG puts before the TIFF structure, and Pillow with it; .cray files do not have it."""
_UNUSABLE: Final = "ICC profile is unusable, left out"
_EXIF_PARSERS: Final = ("AVIF", "TIFF")
"""Formats whose EXIF Pillow does not write as it is."""
_PNG_LEVEL: Final = 1
"""Of zlib's compression: Pillow's 6 takes four times as long for 4 % fewer bytes (docs/design.md)."""
_PNG_XMP: Final = "XML:com.adobe.xmp"
_TIFF_XMP: Final = 700
_GRAY_MODES: Final = ("1", "L", "LA", "La", "I", "F", "I;16", "I;16B", "I;16L", "I;16N")


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


def open_picture(data: bytes, limits: Limits = DEFAULT_LIMITS) -> Picture:
    """Read any format that Pillow reads, from a file's bytes. Raises ImageError, LimitError."""
    with warnings.catch_warnings(), _decoding():
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        with Image.open(io.BytesIO(data)) as image:
            return from_pil(image, limits)


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
        frames = getattr(image, "n_frames", 1)
        image.load()
        metadata = _metadata(image)
        icc = metadata.pop("icc_profile", None)
        space = None if icc is None else _icc_space(icc)
        pixels = np.asarray(_to_rgb(image, icc if space == "CMYK" else None))
    if frames > 1:
        warnings.warn(f"{frames} frames, only the first is stored", CrayWarning, stacklevel=2)
    picture = Picture(pixels[..., :3], pixels[..., 3] if pixels.shape[2] == 4 else None, metadata)
    if icc is None or space is None:
        return picture
    if not _profile_fits(space, image.mode, picture):
        warnings.warn(f"ICC profile is for {space.strip()}, left out", CrayWarning, stacklevel=2)
    elif space != "CMYK":
        metadata["icc_profile"] = icc
    return picture


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
    mode = "L" if gray and (icc is None or _icc_space(icc) == "GRAY") else "RGB"
    return mode + "A" * alpha


def save_picture(picture: Picture, extension: str) -> bytes:
    """A file in the format that Pillow knows by this extension, metadata included.

    Raises ImageError for an extension or picture that Pillow cannot write.
    """
    Image.init()
    kind = Image.EXTENSION.get(extension.lower())
    if kind is None or kind not in Image.SAVE:
        raise ImageError(f"extension {extension!r} is no format that Pillow writes")
    image = to_pil(picture)
    options = _metadata_options(picture.metadata, kind)
    if kind == "PNG":
        options["compress_level"] = _PNG_LEVEL
    try:
        return _save(image, kind, options)
    except ImageError:
        # JPEG and its like have no transparency; anything else that is wrong goes wrong again.
        if picture.alpha is None:
            raise
        data = _save(image.convert("L" if image.mode == "LA" else "RGB"), kind, options)
        warnings.warn(f"{kind} has no transparency, alpha is left out", CrayWarning, stacklevel=2)
        return data


def _metadata_options(metadata: dict[str, bytes], kind: str) -> dict[str, Any]:
    """Keywords of Image.save that write metadata, as far as Pillow and the format have a place for it."""
    options: dict[str, Any] = {}
    if "icc_profile" in metadata:
        options["icc_profile"] = metadata["icc_profile"]
    exif = Image.Exif()
    if "exif" in metadata:
        options["exif"] = EXIF_PREFIX + metadata["exif"]
        if kind in _EXIF_PARSERS:
            try:
                exif.load(options["exif"])
            except Exception:  # damaged EXIF makes the parser raise all sorts
                del options["exif"]
                warnings.warn(f"EXIF is damaged, left out of the {kind} file", CrayWarning, stacklevel=3)
    if "xmp" in metadata:
        if kind == "PNG":
            options["pnginfo"] = PngImagePlugin.PngInfo()
            options["pnginfo"].add_itxt(_PNG_XMP, metadata["xmp"].decode("utf-8", "replace"))
        elif kind == "TIFF":
            exif[_TIFF_XMP] = metadata["xmp"]
            options["exif"] = exif
        else:
            options["xmp"] = metadata["xmp"]
    return options


def _save(image: Image.Image, kind: str, options: dict[str, Any]) -> bytes:
    buffer = io.BytesIO()
    try:
        image.save(buffer, kind, **options)
    except Exception as error:  # Pillow's plugins raise whatever their library gave them
        raise ImageError(f"cannot be written as {kind} ({error})") from error
    return buffer.getvalue()


@contextmanager
def _decoding() -> Iterator[None]:
    """Pillow's plugins raise whatever their library gave them: here it becomes ImageError or LimitError."""
    try:
        yield
    except (CrayError, CrayWarning, MemoryError):
        raise
    except Image.DecompressionBombError as error:
        raise LimitError(str(error)) from error
    except UnidentifiedImageError as error:
        raise ImageError("not an image in a format that Pillow reads") from error
    except Exception as error:
        raise ImageError(f"cannot be decoded ({error})") from error


def _check_size(width: int, height: int, limits: Limits) -> None:
    if width == 0 or height == 0:
        raise ImageError(f"image is {width} x {height}, expected at least 1 x 1")
    limits.check_size(width, height)


def _metadata(image: Image.Image) -> dict[str, bytes]:
    found = {}
    for name in ("exif", "icc_profile", "xmp"):
        value = image.info.get(name)
        if isinstance(value, str):
            value = value.encode("utf-8")
        if value:
            found[name] = exif_bytes(value) if name == "exif" else bytes(value)
    return found


def exif_bytes(exif: bytes | Image.Exif) -> bytes:
    """EXIF as .cray files have it: the TIFF structure alone."""
    raw = exif.tobytes() if isinstance(exif, Image.Exif) else bytes(exif)
    return raw.removeprefix(EXIF_PREFIX)


def _to_rgb(image: Image.Image, icc: bytes | None) -> Image.Image:
    """Any mode -> RGB or RGBA."""
    if image.mode.startswith("I") or image.mode == "F":
        gray = Image.fromarray(_to_8_bits(image))
        hidden = image.info.get("transparency")
        if isinstance(hidden, int):  # the one value of a 16-bit grey PNG that is transparent
            alpha = np.where(np.asarray(image) == hidden, 0, 255).astype(np.uint8)
            return Image.merge("LA", [gray, Image.fromarray(alpha)]).convert("RGBA")
        return gray.convert("RGB")
    if image.mode == "CMYK" and icc is not None:
        try:
            return _cmyk_to_rgb(image, icc)
        except ImageCms.PyCMSError:
            warnings.warn(_UNUSABLE, CrayWarning, stacklevel=4)
    transparent = image.mode in ("LA", "La", "PA", "RGBA", "RGBa") or "transparency" in image.info
    if image.mode == "La":
        image = image.convert("LA")
    return image.convert("RGBA" if transparent else "RGB")


def _cmyk_to_rgb(image: Image.Image, icc: bytes) -> Image.Image:
    profile = ImageCms.ImageCmsProfile(io.BytesIO(icc))
    converted = ImageCms.profileToProfile(image, profile, ImageCms.createProfile("sRGB"), outputMode="RGB")
    assert converted is not None  # as it is with inPlace only
    return converted


def _to_8_bits(image: Image.Image) -> U8:
    values = np.asarray(image)
    narrow: U8
    if image.mode == "F" or (image.mode == "I" and values.max() <= 255):
        narrow = np.clip(np.nan_to_num(values), 0, 255).astype(np.uint8)
    else:
        narrow = ((np.clip(values, 0, 65535).astype(np.uint32) * 255 + 32767) // 65535).astype(np.uint8)
    return narrow


def _profile_fits(space: str, mode: str, picture: Picture) -> bool:
    """Whether an ICC profile of this colour space is one for the channels that a picture has."""
    if mode == "CMYK" or mode in _GRAY_MODES:
        return space == ("CMYK" if mode == "CMYK" else "GRAY")
    return space == "RGB " or (space == "GRAY" and picture.is_gray)


def _icc_space(icc: bytes) -> str | None:
    """Colour space signature of an ICC profile; None, with a warning, if it is unusable."""
    try:
        return str(ImageCms.ImageCmsProfile(io.BytesIO(icc)).profile.xcolor_space)
    except (OSError, ImageCms.PyCMSError, TypeError):
        warnings.warn(_UNUSABLE, CrayWarning, stacklevel=3)
        return None
