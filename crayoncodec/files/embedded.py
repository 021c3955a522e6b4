"""What the file of a PIL image has besides 8-bit pixels: metadata in all places that formats have for it,
samples of more bits, and what a .cray file has no place for.
"""

from __future__ import annotations

import os
import re
import struct
import warnings
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import IO, Any, Final

import cv2
import numpy as np
from PIL import Image, IptcImagePlugin

from crayoncodec.errors import CrayWarning
from crayoncodec.files import formats, metadata

_IPTC_NAA: Final = 33723
"""Tag of TIFF."""
_GAIN_MAP: Final = b"hdrgm:Version"
_RAW_PROFILE: Final = "Raw profile type "
_DERIVED_TEXT: Final = re.compile(
    r"(date:|exif:|icc:|png:|tiff:|xmp|xml:com\.adobe\.xmp$|software$|raw profile )", re.IGNORECASE
)
"""Keys of PNG's text that say nothing of the picture, or what its metadata has, too."""
_TRIVIAL_IPTC: Final = ((1, 90), (2, 0))
"""Character set and version: in every file that Photoshop wrote."""
_RESOURCES: Final = {1058: "exif", 1060: "xmp"}
"""Of Photoshop's files, by their numbers."""
_CODESTREAM: Final = b"jp2c"
_UUIDS: Final = {b"JpgTiffExif->JP2": "exif", bytes.fromhex("BE7ACFCB97A942E89C71999491E3AFAC"): "xmp"}
"""Of JPEG 2000's boxes that have no type of their own."""
_THUMBNAILS: Final = "Large Thumbnail"
_BITS_PER_SAMPLE: Final = 258
_HEAD: Final = 2**16
"""Bytes of a file in which its header is looked for."""


def found(image: Image.Image, boxes: Mapping[str, bytes]) -> dict[str, bytes]:
    """Of a loaded image what it has of exif (the TIFF structure alone), icc_profile and xmp (UTF-8).

    boxes: what ``boxes`` gave before it was loaded.
    """
    info = image.info
    profiles = {**boxes, **dict(_photoshop_resources(image)), **dict(_raw_profiles(info))}
    exif = info.get("exif") or profiles.get("exif")
    xmp = info.get("xmp") or profiles.get("xmp")
    icc = info.get("icc_profile") or profiles.get("icc_profile")
    if image.format == "TIFF":
        exif = _of_tiff(image)
    kept: dict[str, bytes] = {}
    if exif:
        kept["exif"] = metadata.exif_bytes(exif)
        if image.format == "JXL" and not getattr(image, "jpeg", False):
            # Decoders of JPEG XL turn pixels by what its codestream says; what EXIF says is of before.
            kept |= metadata.upright({"exif": kept["exif"]})
    if icc:
        kept["icc_profile"] = bytes(icc)
    if xmp:
        plain = metadata.utf8(xmp.encode() if isinstance(xmp, str) else bytes(xmp))
        kept["xmp"] = _with_extended_xmp(image, plain)
    dpi = _dpi(info.get("dpi"))
    if dpi is not None and not _same(dpi, metadata.resolution(kept)):
        kept["exif"] = metadata.with_resolution(kept.get("exif"), dpi)
    return kept


def boxes(image: Image.Image) -> dict[str, bytes]:
    """What JPEG 2000 and JPEG XL files have and no plugin looks for, of an image that is not loaded yet."""
    if image.format not in ("JPEG2000", "JXL"):
        return {}
    with formats.rewound(image) as stream:
        return dict(_metadata_of_boxes(stream, 0, stream.seek(0, os.SEEK_END)))


def left_out(image: Image.Image) -> list[str]:
    """Names of what a loaded image has and a .cray file has no place for."""
    names = []
    if image.info.get("comment") and image.format != "JPEG2000":  # whose libraries sign there
        names.append("comment")
    texts = [key for key in getattr(image, "text", {}) if not _DERIVED_TEXT.match(key)]
    if texts:
        names.append(f"text ({', '.join(texts[:5])}{', ...' * (len(texts) > 5)})")
    if _has_iptc(image):
        names.append("IPTC")
    if any(_GAIN_MAP in data for name, data in getattr(image, "applist", ()) if name == "APP1"):
        names.append("gain map")
    return names


def frames(image: Image.Image) -> int:
    """How many pictures there are; a camera's thumbnails in a multi-picture file are none."""
    count = int(getattr(image, "n_frames", 1))
    if image.format == "MPO":
        kinds = [entry["Attribute"]["MPType"] for entry in getattr(image, "mpinfo", {}).get(0xB002, ())]
        count -= sum(_THUMBNAILS in kind for kind in kinds)
    return max(count, 1)


def bits(image: Image.Image) -> int:
    """Bits of a sample as the file has them, of an image that is opened, but not loaded yet."""
    kind = image.format
    if kind == "TIFF":
        return int(max(image.tag_v2.get(_BITS_PER_SAMPLE, (1,))))  # type: ignore[attr-defined]
    if kind == "HEIF":
        return int(image.info.get("bit_depth", 8))
    if kind == "AVIF":
        return _avif_bits(_head(image))
    if kind == "JPEG2000":
        return _jpeg_2000_bits(_head(image))
    tile: Any = (getattr(image, "tile", None) or [None])[0]
    if kind in ("PNG", "SGI") and tile is not None and (packed := re.match(r"\w+;(2|4|16)", str(tile[3]))):
        return int(packed[1])
    if kind == "PPM" and tile is not None and image.mode != "F":
        return int(tile[3][1]).bit_length() if isinstance(tile[3], tuple) else 16 if image.mode == "I" else 8
    return {"I": 32, "F": 32}.get(image.mode, 16 if image.mode.startswith("I;16") else 8)


def correct_planes(image: Image.Image, bits: int) -> None:
    """Have the planes of a TIFF file that keeps colours apart, not loaded yet, read in their own depth.

    Pillow takes those of 16 bits, where they are not compressed, for 8.
    """
    if image.format != "TIFF" or bits != 16:
        return
    order = "B" if image.tag_v2.prefix == b"MM" else "L"  # type: ignore[attr-defined]
    tiles: Any = image.tile  # type: ignore[attr-defined]
    for index, (coder, extents, offset, args) in enumerate(tiles):
        if coder == "raw" and args[0] in ("R", "G", "B", "A"):
            tiles[index] = type(tiles[index])(coder, extents, offset, (f"{args[0]};16{order}", *args[1:]))


def deep_colors(image: Image.Image, bits: int) -> Image.Image | None:
    """The colours of a JPEG 2000 file of more than 8 bits, not loaded yet: Pillow shows its whites in black.

    None for any other, or if OpenCV does not read it.
    """
    if image.format != "JPEG2000" or bits <= 8 or image.mode not in ("RGB", "RGBA"):
        return None
    with formats.rewound(image) as stream:
        data = np.frombuffer(stream.read(), np.uint8)
    image.load()  # a damaged file is told of here, where OpenCV would log it as well
    values = None
    with suppress(cv2.error):
        values = cv2.imdecode(data, cv2.IMREAD_UNCHANGED)
    if values is None or values.dtype != np.uint16 or values.shape != (*image.size[::-1], len(image.mode)):
        return None
    values = values * np.float32(255 / (2**bits - 1)) + np.float32(0.5)
    order = cv2.COLOR_BGR2RGB if image.mode == "RGB" else cv2.COLOR_BGRA2RGBA
    return Image.fromarray(cv2.cvtColor(np.minimum(values, 255).astype(np.uint8), order))


def _metadata_of_boxes(stream: IO[bytes], start: int, end: int) -> Iterator[tuple[str, bytes]]:
    while start + 8 <= end:
        stream.seek(start)
        size, kind = struct.unpack(">I4s", stream.read(8))
        if size == 1:
            size, at = int.from_bytes(stream.read(8), "big"), start + 16
        else:
            size, at = size or end - start, start + 8
        stop = min(start + size, end)
        if stop <= at or kind == _CODESTREAM:
            start = stop if stop > at else end
            continue
        if kind == b"jp2h":
            yield from _metadata_of_boxes(stream, at, stop)
        elif kind == b"colr" and stream.read(1) == b"\x02":  # the profile that all readers can use
            stream.seek(at + 3)
            yield "icc_profile", stream.read(stop - at - 3)
        elif kind == b"xml " and stream.read(1) == b"<":  # JPEG XL's
            stream.seek(at)
            yield "xmp", stream.read(stop - at)
        elif kind == b"uuid" and (name := _UUIDS.get(stream.read(16))):
            yield name, stream.read(stop - at - 16)
        start = stop


def _photoshop_resources(image: Image.Image) -> Iterator[tuple[str, bytes]]:
    for number, _, data in getattr(image, "resources", ()) if image.format == "PSD" else ():
        if number in _RESOURCES:
            yield _RESOURCES[number], data


def _raw_profiles(info: dict[Any, Any]) -> Iterator[tuple[str, bytes]]:
    """Metadata that ImageMagick and its like have put into the text of PNG files, in hexadecimal digits."""
    for key, value in info.items():
        if not isinstance(key, str) or not key.lower().startswith(_RAW_PROFILE.lower()):
            continue
        try:
            _, size, digits = str(value).split(maxsplit=2)
            data = bytes.fromhex(digits)[: int(size)]
        except ValueError:
            warnings.warn(f"{key!r} is damaged, left out", CrayWarning, stacklevel=5)
            continue
        kind = key[len(_RAW_PROFILE) :].lower()
        if data.startswith(metadata.XMP_SEGMENT):
            yield "xmp", data.removeprefix(metadata.XMP_SEGMENT)
        elif kind == "xmp":
            yield "xmp", data
        elif kind in ("icc", "icm"):
            yield "icc_profile", data
        elif kind in ("exif", "app1"):
            yield "exif", data


def _of_tiff(image: Image.Image) -> bytes | None:
    try:
        return metadata.of_tiff(image.getexif())
    except Exception:  # damaged tags make Pillow raise all sorts
        warnings.warn("TIFF tags are damaged, left out", CrayWarning, stacklevel=5)
        return None


def _with_extended_xmp(image: Image.Image, xmp: bytes) -> bytes:
    """XMP of a JPEG file together with what lies in further segments."""
    parts: dict[bytes, bytearray] = {}
    for name, data in getattr(image, "applist", ()):
        if name == "APP1" and data.startswith(metadata.XMP_EXTENSION_SEGMENT):
            digest, size, at, part = _extension(data)
            whole = parts.setdefault(digest, bytearray(min(size, len(image.applist) * 2**16)))  # type: ignore[attr-defined]
            whole[at : at + len(part)] = part
    if not parts:
        return xmp
    joined = metadata.with_extension(xmp, {digest: bytes(whole) for digest, whole in parts.items()})
    if joined is None:
        warnings.warn("extended XMP is damaged, left out", CrayWarning, stacklevel=5)
    return xmp if joined is None else joined


def _extension(segment: bytes) -> tuple[bytes, int, int, bytes]:
    """Name, size of the whole, offset in it and bytes of a segment of extended XMP."""
    rest = segment.removeprefix(metadata.XMP_EXTENSION_SEGMENT)
    size, at = struct.unpack(">II", rest[32:40].ljust(8, b"\0"))
    return rest[:32], size, at, rest[40:]


def _dpi(dpi: Any) -> tuple[float, float] | None:
    """Pixels per inch that a file states, unless they are what is taken for granted or make no sense."""
    try:
        x, y = (float(value) for value in dpi)
    except (TypeError, ValueError, ZeroDivisionError):
        return None
    # 1 is what Pillow says of TIFF files without any.
    sane = all(1 < value <= metadata.MOST_DPI for value in (x, y))
    return (x, y) if sane and not _same((x, y), (metadata.DEFAULT_DPI,) * 2) else None


def _same(dpi: tuple[float, float], other: tuple[float, float] | None) -> bool:
    """To within the rounding of PNG and BMP, which count by the metre, and of JPEG: whole numbers."""
    return other is not None and all(abs(a - b) < 0.5 for a, b in zip(dpi, other, strict=True))


def _has_iptc(image: Image.Image) -> bool:
    if any(str(key).lower() in ("raw profile type iptc", "raw profile type 8bim") for key in image.info):
        return True
    if image.format not in ("JPEG", "MPO", "TIFF"):
        return False
    try:
        records = IptcImagePlugin.getiptcinfo(image)  # type: ignore[arg-type]
    except Exception:  # damaged ones make Pillow raise all sorts; they are there
        return True
    return any(key not in _TRIVIAL_IPTC for key in records or ())


def _head(image: Image.Image) -> bytes:
    with formats.rewound(image) as stream:
        return stream.read(_HEAD)


def _avif_bits(head: bytes) -> int:
    """By the flags in the decoder configuration of the picture, or of the deepest of several."""
    flags = [config[0] for config in re.findall(rb"av1C..(.)", head, re.DOTALL)]
    return max((12 if flag & 0x20 else 10 if flag & 0x40 else 8 for flag in flags), default=8)


def _jpeg_2000_bits(head: bytes) -> int:
    """By the codestream's SIZ marker: a byte for each component at the end of its fixed part."""
    at = head.find(b"\xff\x4f\xff\x51")
    return 8 if at < 0 or at + 42 >= len(head) else (head[at + 42] & 0x7F) + 1
