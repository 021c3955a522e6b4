"""Pictures -> files of other formats, with the metadata that those can hold."""

from __future__ import annotations

import io
import struct
import warnings
from collections.abc import Collection, Iterator
from contextlib import suppress
from dataclasses import replace
from typing import Any, Final

import numpy as np
from PIL import Image, PngImagePlugin

from crayoncodec.errors import CrayWarning, ImageError
from crayoncodec.files import formats
from crayoncodec.files import metadata as meta
from crayoncodec.files.picture import Picture, in_srgb, stripped, to_pil, upright

DEFAULT_QUALITY: Final = 95
"""Of lossy formats, on their own scales: next to nothing is lost a second time."""

_EXIF: Final = frozenset(("AVIF", "HEIF", "JPEG", "JXL", "MPO", "PNG", "TIFF", "WEBP"))
"""Formats with a place for EXIF, and for XMP."""
_PROFILES: Final = _EXIF - {"JXL"}
_ORIENTED: Final = _EXIF - {"JXL"}
"""Formats whose readers turn pixels by EXIF; those of JPEG XL go by the codestream, which is upright."""
_RESOLUTION: Final = frozenset(("BMP", "DIB", "JPEG", "MPO", "PDF", "PNG", "TIFF"))
"""Formats that have pixels per inch besides EXIF."""
_USUAL_DPI: Final = (meta.DEFAULT_DPI, meta.DEFAULT_DPI)
_NO_ALPHA: Final = frozenset(("BMP", "DIB", "PPM"))
"""Formats that Pillow writes without alpha, or with alpha that nobody reads, and says nothing."""
_NO_TRANSPARENCY: Final = "{} has no transparency, alpha is left out"
_LOSSY: Final[dict[str, dict[str, Any]]] = {
    "AVIF": {"subsampling": "4:4:4"},
    "HEIF": {"chroma": 444},
    "JPEG": {"subsampling": "4:4:4"},
    "JXL": {},
    "MPO": {"subsampling": "4:4:4"},
    "PDF": {"subsampling": "4:4:4"},
    "WEBP": {},
}
"""Formats whose quality is chosen, and how the colours of their pixels are kept apart."""
_PNG_LEVEL: Final = 1
"""Of zlib's compression: Pillow's 6 takes four times as long for 4 % fewer bytes (docs/design.md)."""
_PNG_XMP: Final = "XML:com.adobe.xmp"
_SEGMENT: Final = 65533
"""Bytes of a JPEG segment's content."""
_EXTENSION_PART: Final = 65400
"""Bytes of extended XMP in one segment, as Adobe's specification has it at most."""


def save_picture(
    picture: Picture, extension: str, *, quality: int = DEFAULT_QUALITY, strip: str | Collection[str] = ()
) -> bytes:
    """A file in the format that Pillow, or an installed plugin of it, knows by this extension.

    quality: 0 to 100, of JPEG, WebP, AVIF, HEIC, JPEG XL and PDF; colours are kept at full resolution where
    the format can. strip: metadata to leave out, as for ``picture.stripped``.

    What the format has no place for is applied to the pixels (orientation, profile) or left out with a
    CrayWarning. Raises ImageError for an extension or picture that cannot be written, ValueError.
    """
    if quality not in range(101):
        raise ValueError(f"quality is {quality}, expected a whole number of 0 to 100")
    kind = formats.written(extension)
    return _written(_fitted(stripped(picture, strip), kind), kind, quality)


def _fitted(picture: Picture, kind: str) -> Picture:
    """The picture with what a format can hold."""
    if kind not in _ORIENTED:
        picture = upright(picture)
    if "icc_profile" in picture.metadata:
        if kind not in _PROFILES:
            picture = in_srgb(picture)
        elif _in_color(picture, kind) and meta.profile_space(picture.metadata["icc_profile"]) == "GRAY":
            picture = in_srgb(picture)
            _warn(f"the {kind} file has red, green and blue, the profile for GRAY is left out")
    exif = picture.metadata.get("exif")
    if kind not in _EXIF:
        if lost := _lost(picture.metadata, kind):
            _warn(f"{kind} files cannot hold {' and '.join(lost)}, left out")
    elif exif is not None and kind in ("AVIF", "TIFF") and _is_damaged(exif):
        picture = stripped(picture, "exif")
        _warn(f"EXIF is damaged, left out of the {kind} file")
    elif exif is not None and kind in ("JPEG", "MPO") and len(meta.EXIF_PREFIX + exif) > _SEGMENT:
        picture = _with_short_exif(picture, exif)
    if picture.alpha is not None and kind in _NO_ALPHA:
        picture = replace(picture, alpha=None)
        _warn(_NO_TRANSPARENCY.format(kind))
    if picture.alpha is not None and kind == "GIF":
        rounded = np.where(picture.alpha < 128, np.uint8(0), np.uint8(255))
        if not np.array_equal(rounded, picture.alpha):
            _warn("pixels of GIF files are transparent or opaque, alpha is rounded")
        picture = replace(picture, alpha=rounded)
    return picture


def _in_color(picture: Picture, kind: str) -> bool:
    """Whether Pillow writes grey pictures in red, green and blue where there is a place for profiles."""
    return kind == "WEBP" or (kind == "AVIF" and picture.alpha is not None)


def _lost(metadata: dict[str, bytes], kind: str) -> list[str]:
    """What of metadata has no place in a format without EXIF."""
    lost = []
    if "exif" in metadata and meta.says_more(metadata["exif"]):
        lost.append("EXIF")
    elif kind not in _RESOLUTION and meta.resolution(metadata) not in (None, _USUAL_DPI):
        lost.append("resolution")
    if "xmp" in metadata:
        lost.append("XMP")
    return lost


def _written(picture: Picture, kind: str, quality: int) -> bytes:
    try:
        return _attempt(picture, kind, quality)
    except ImageError:
        # What may be the matter with it; anything else that is wrong goes wrong again.
        suspects = {
            "exif": "exif" in picture.metadata and kind in _EXIF,
            "alpha": picture.alpha is not None,  # which JPEG and its like do not have
        }
        for parts in (["exif"], ["alpha"], ["exif", "alpha"]):
            if not all(suspects[part] for part in parts):
                continue
            poorer = stripped(picture, "exif") if "exif" in parts else picture
            with suppress(ImageError):
                data = _attempt(replace(poorer, alpha=None) if "alpha" in parts else poorer, kind, quality)
                if "exif" in parts:
                    _warn(f"EXIF cannot be written to the {kind} file, left out")
                if "alpha" in parts:
                    _warn(_NO_TRANSPARENCY.format(kind))
                return data
        raise


def _attempt(picture: Picture, kind: str, quality: int) -> bytes:
    image = to_pil(picture)
    if image.mode == "LA" and kind == "GIF":  # of which Pillow drops the alpha
        image = image.convert("RGBA")
    options = _options(picture.metadata, kind, quality)
    if image.mode in ("L", "LA"):
        options.pop("subsampling", None)
        with suppress(ImageError):
            return _save(image, kind, options)
        # Some formats have no grey pictures.
        image = image.convert("RGBA" if image.mode == "LA" else "RGB")
    return _save(image, kind, options)


def _options(metadata: dict[str, bytes], kind: str, quality: int) -> dict[str, Any]:
    """Keywords of Image.save: how pixels are coded, and metadata that fits the format."""
    options: dict[str, Any] = {}
    if kind in _LOSSY:
        options |= {"quality": quality, **_LOSSY[kind]}
    if kind == "PNG":
        options["compress_level"] = _PNG_LEVEL
    dpi = meta.resolution(metadata)
    if dpi is not None and kind in _RESOLUTION and max(dpi) < 2**16:  # JPEG's most
        options["dpi"] = dpi
    elif "exif" in metadata and kind in ("JPEG", "MPO"):
        # If Pillow has to look for it in EXIF, it does not open files where that is damaged in some ways.
        options["dpi"] = _USUAL_DPI
    if "icc_profile" in metadata and kind in _PROFILES:
        options["icc_profile"] = metadata["icc_profile"]
    if "exif" in metadata and kind in _EXIF:
        options["exif"] = meta.EXIF_PREFIX + metadata["exif"]
    xmp = meta.utf8(metadata["xmp"]) if "xmp" in metadata and kind in _EXIF else None
    if kind == "TIFF":
        options["exif"] = _tiff_tags(options.get("exif", b""), xmp)
    elif xmp is not None:
        options |= _xmp_options(xmp, kind)
    return options


def _tiff_tags(exif: bytes, xmp: bytes | None) -> Image.Exif:
    parsed = Image.Exif()
    parsed.load(exif)
    tags = meta.for_tiff(parsed)
    if xmp is not None:
        tags[meta.XMP_TAG] = xmp
    return tags


def _xmp_options(xmp: bytes, kind: str) -> dict[str, Any]:
    if kind == "PNG":
        text = PngImagePlugin.PngInfo()
        text.add_itxt(_PNG_XMP, xmp.decode("utf-8", "replace"))
        return {"pnginfo": text}
    if kind in ("JPEG", "MPO") and len(meta.XMP_SEGMENT + xmp) > _SEGMENT:
        stub, name = meta.extended(xmp)
        return {"xmp": stub, "extra": b"".join(_extension_segments(xmp, name))}
    return {"xmp": xmp}


def _extension_segments(xmp: bytes, name: bytes) -> Iterator[bytes]:
    for at in range(0, len(xmp), _EXTENSION_PART):
        part = (
            meta.XMP_EXTENSION_SEGMENT
            + name
            + struct.pack(">II", len(xmp), at)
            + xmp[at : at + _EXTENSION_PART]
        )
        yield b"\xff\xe1" + struct.pack(">H", len(part) + 2) + part


def _with_short_exif(picture: Picture, exif: bytes) -> Picture:
    """With EXIF that one segment of a JPEG file holds: there is no standard for more of them."""
    size = f"EXIF has {len(exif):,} bytes, a JPEG file holds {_SEGMENT - len(meta.EXIF_PREFIX):,}"
    if not _is_damaged(exif):
        short = meta.shortened(exif)
        if len(meta.EXIF_PREFIX + short) <= _SEGMENT:
            _warn(f"{size}: maker note and thumbnail are left out")
            return replace(picture, metadata=picture.metadata | {"exif": short})
    _warn(f"{size}: left out")
    return stripped(picture, "exif")


def _is_damaged(exif: bytes) -> bool:
    """Whether Pillow, which does not write EXIF of every format as it is, cannot read it."""
    if not meta.is_readable(exif):
        return True
    try:
        meta.shortened(exif)
    except Exception:  # the parser raises all sorts
        return True
    return False


def _save(image: Image.Image, kind: str, options: dict[str, Any]) -> bytes:
    buffer = io.BytesIO()
    try:
        image.save(buffer, kind, **options)
    except Exception as error:  # Pillow's plugins raise whatever their library gave them
        raise ImageError(f"cannot be written as {kind} ({error})") from error
    data = buffer.getvalue()
    if kind in Image.OPEN:
        _check_readable(data, kind, image.size)
    return data


def _check_readable(data: bytes, kind: str, size: tuple[int, int]) -> None:
    """Some libraries write what none reads (AVIF of sides above 32768), and some a smaller picture (ICO)."""
    try:
        with formats.opened(data) as written:
            found = written.size
    except Exception as error:  # as above
        what = f"{size[0]} x {size[1]} pixels could not be read again ({error})"
        raise ImageError(f"cannot be written as {kind}: {what}") from error
    if sorted(found) != sorted(size):  # HEIC readers turn the picture
        _warn(f"the {kind} file has {found[0]} x {found[1]} pixels, not {size[0]} x {size[1]}")


def _warn(text: str) -> None:
    warnings.warn(text, CrayWarning, stacklevel=4)
