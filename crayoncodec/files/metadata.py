"""EXIF, XMP and ICC profiles as .cray files have them: what they say, and changes that leave the rest alone.

EXIF is edited record by record, in place or with the first directory moved to the end, so that offsets
into it, those of maker notes among them, stay right.
"""

from __future__ import annotations

import bisect
import hashlib
import io
import re
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Final
from xml.etree import ElementTree

from PIL import Image

EXIF_PREFIX: Final = b"Exif\0\0"
"""What JPEG puts before the TIFF structure, and Pillow with it; .cray files do not have it."""
XMP_SEGMENT: Final = b"http://ns.adobe.com/xap/1.0/\0"
XMP_EXTENSION_SEGMENT: Final = b"http://ns.adobe.com/xmp/extension/\0"
"""What an APP1 segment of JPEG begins with that has XMP, or a part of what did not fit into one."""
XMP_TAG: Final = 700
"""Of TIFF."""
DEFAULT_DPI: Final = 72
"""What readers take for granted, in pixels per inch."""
MOST_DPI: Final = 2**24
"""Beyond it a resolution makes no sense."""

_ORIENTATION: Final = 274
_RESOLUTION: Final = (282, 283)
_UNIT: Final = 296
_EXIF_DIRECTORY: Final = 34665
_GPS: Final = 34853
_POSITIONING: Final = 531
_INTEROPERABILITY: Final = 40965
"""A directory within a directory, which Pillow does not write to TIFF; it says little."""
_MAKER_NOTE: Final = 37500
_EMPTY: Final = b"MM\0*\0\0\0\x08\0\0\0\0\0\0"
_SIZES: Final = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4}
"""Bytes of one value of each TIFF type."""
_INCH: Final = 2
_CENTIMETRE: Final = 3
_CM_PER_INCH: Final = 2.54

_OF_CONTAINER: Final = frozenset([
    *range(254, 269), 273, *range(277, 282), 284, *range(288, 294), 301, 317, *range(320, 349),
    *range(512, 533), XMP_TAG, 33421, 33422, 33723, 34377, 34675, 37724, *range(50706, 51200),
])  # fmt: skip
"""TIFF tags that say how pixels are stored (size, strips, samples, DNG's raw data), or hold XMP, IPTC,
Photoshop's data or a profile: in another file they are wrong, or there twice."""

_EXTENDED: Final = re.compile(
    rb"""\sxmpNote:HasExtendedXMP\s*=\s*["']([^"']*)["']|"""
    rb"<xmpNote:HasExtendedXMP>([^<]*)</xmpNote:HasExtendedXMP>"
)
_RDF: Final = re.compile(rb"<rdf:RDF\b[^<>]*>")
_RDF_END: Final = b"</rdf:RDF"
_XMP_ORIENTATION: Final = re.compile(rb"""(tiff:Orientation(?:\s*=\s*["']|\s*>\s*))([1-8])""")
_XMP_GPS: Final = re.compile(
    rb"""<([\w.-]+:gps[\w.-]*)(?:\s[^<>]*)?/?>|\s[\w.-]+:gps[\w.-]*\s*=\s*("[^"]*"|'[^']*')""",
    re.IGNORECASE,
)
_XMP_GPS_END: Final = re.compile(rb"</([\w.-]+:gps[\w.-]*)\s*>", re.IGNORECASE)


@dataclass(frozen=True)
class _Directory:
    """A directory of a TIFF structure."""

    order: str
    """Of bytes, as struct has it."""
    offset: int
    size: int
    records: dict[int, bytes]
    """Tag -> its twelve bytes."""
    following: bytes
    """Offset of the next directory, that of the thumbnail."""


def given(**options: bytes | Image.Exif | None) -> dict[str, bytes]:
    """Options of ``encode`` that are not None, as they are kept. Raises TypeError."""
    kept = {}
    for name, value in options.items():
        if value is None:
            continue
        if not isinstance(value, bytes | bytearray | memoryview) and not (
            name == "exif" and isinstance(value, Image.Exif)
        ):
            raise TypeError(f"{name} is {type(value).__name__}, expected bytes")
        if name == "exif":
            kept[name] = exif_bytes(value)
        else:
            kept[name] = utf8(bytes(value)) if name == "xmp" else bytes(value)
    return kept


def exif_bytes(exif: bytes | Image.Exif) -> bytes:
    """EXIF as .cray files have it: the TIFF structure alone."""
    raw = exif.tobytes() if isinstance(exif, Image.Exif) else bytes(exif)
    return raw.removeprefix(EXIF_PREFIX)


def orientation(metadata: Mapping[str, bytes]) -> int:
    """1 to 8, as EXIF has it, or else XMP; 1 is upright."""
    directory = _directory(metadata.get("exif", b""))
    if directory is not None and _ORIENTATION in directory.records:
        value = _whole_number(directory, _ORIENTATION)
        return value if value is not None and 1 <= value <= 8 else 1
    found = _XMP_ORIENTATION.search(metadata.get("xmp", b""))
    return int(found[2]) if found else 1


def upright(metadata: Mapping[str, bytes]) -> dict[str, bytes]:
    """The same, saying that the pixels are upright where it says how they lie."""
    changed = dict(metadata)
    directory = _directory(metadata.get("exif", b""))
    if directory is not None and _ORIENTATION in directory.records:
        record = struct.pack(directory.order + "HHIHH", _ORIENTATION, 3, 1, 1, 0)
        changed["exif"] = _rewritten(changed["exif"], directory, {**directory.records, _ORIENTATION: record})
    if "xmp" in metadata:
        changed["xmp"] = _XMP_ORIENTATION.sub(rb"\g<1>1", metadata["xmp"])
    return changed


def resolution(metadata: Mapping[str, bytes]) -> tuple[float, float] | None:
    """Pixels per inch along x and y, as EXIF has them."""
    directory = _directory(metadata.get("exif", b""))
    if directory is None or not all(tag in directory.records for tag in _RESOLUTION):
        return None
    x, y = (_rational(metadata["exif"], directory, tag) for tag in _RESOLUTION)
    unit = _whole_number(directory, _UNIT) if _UNIT in directory.records else _INCH
    if x is None or y is None or unit not in (_INCH, _CENTIMETRE):
        return None
    scale = _CM_PER_INCH if unit == _CENTIMETRE else 1
    return x * scale, y * scale


def with_resolution(exif: bytes | None, dpi: tuple[float, float]) -> bytes:
    """EXIF, new or changed, that has pixels per inch along x and y; damaged EXIF is given back as it is.

    dpi: above 0, at most 2^24. Raises ValueError.
    """
    try:
        good = len(dpi) == 2 and all(0 < value <= MOST_DPI for value in dpi)
    except TypeError:  # something else
        good = False
    if not good:
        raise ValueError(f"dpi is {dpi!r}, expected two numbers above 0, at most {MOST_DPI}")
    data = bytearray(_EMPTY if exif is None else exif)
    directory = _directory(data)
    if directory is None:
        return bytes(data)
    records = dict(directory.records)
    for tag, value in zip(_RESOLUTION, dpi, strict=True):
        data += b"\0" * (len(data) % 2)
        ratio = Fraction(value).limit_denominator(min(10_000, int(2**32 / value) - 1))
        records[tag] = struct.pack(directory.order + "HHII", tag, 5, 1, len(data))
        data += struct.pack(directory.order + "II", ratio.numerator, ratio.denominator)
    records[_UNIT] = struct.pack(directory.order + "HHIHH", _UNIT, 3, 1, _INCH, 0)
    return _rewritten(data, directory, records)


def is_readable(exif: bytes) -> bool:
    """Whether EXIF has a directory."""
    return _directory(exif) is not None


def says_more(exif: bytes) -> bool:
    """Whether EXIF has more than orientation and resolution."""
    directory = _directory(exif)
    known = {_ORIENTATION, *_RESOLUTION, _UNIT, _POSITIONING}
    return directory is None or bool(directory.records.keys() - known)


def without_gps(metadata: Mapping[str, bytes]) -> dict[str, bytes]:
    """Without the positions that EXIF's GPS directory and XMP have. EXIF that hides its own is left out."""
    changed = dict(metadata)
    if "exif" in metadata:
        exif = _exif_without_gps(metadata["exif"])
        if exif is None:
            del changed["exif"]
        else:
            changed["exif"] = exif
    if "xmp" in metadata:
        changed["xmp"] = _xmp_without_gps(metadata["xmp"])
    return changed


def for_tiff(exif: Image.Exif) -> Image.Exif:
    """What of EXIF (or of a TIFF file's tags) is not about the file that it was in."""
    kept = Image.Exif()
    for tag, value in exif.items():
        if tag not in _OF_CONTAINER and tag not in (_EXIF_DIRECTORY, _GPS):
            kept[tag] = value
    for tag in (_EXIF_DIRECTORY, _GPS):
        directory = {each: value for each, value in exif.get_ifd(tag).items() if each != _INTEROPERABILITY}
        if directory:
            kept.get_ifd(tag).update(directory)
            kept[tag] = 0  # the offset, as far as Pillow looks at it
    return kept


def of_tiff(exif: Image.Exif) -> bytes | None:
    """The EXIF of a TIFF file that was turned upright as it was read; None if its tags say nothing."""
    kept = for_tiff(exif)
    for tag in (_ORIENTATION, *_RESOLUTION, _UNIT):
        kept.pop(tag, None)
    return exif_bytes(kept) if len(kept) else None


def shortened(exif: bytes) -> bytes:
    """EXIF without the maker note and the thumbnail. Raises what Pillow does for damaged EXIF."""
    parsed = Image.Exif()
    parsed.load(exif)
    parsed.get_ifd(_EXIF_DIRECTORY).pop(_MAKER_NOTE, None)
    return exif_bytes(parsed)


def utf8(xmp: bytes) -> bytes:
    """An XMP packet of any Unicode encoding in UTF-8; one that cannot be decoded as it is."""
    for mark, encoding in (
        (b"\xff\xfe\0\0", "utf-32"), (b"\0\0\xfe\xff", "utf-32"), (b"\xff\xfe", "utf-16"),
        (b"\xfe\xff", "utf-16"), (b"<\0\0\0", "utf-32-le"), (b"\0\0\0<", "utf-32-be"), (b"<\0", "utf-16-le"),
        (b"\0<", "utf-16-be"),
    ):  # fmt: skip
        if xmp.startswith(mark):
            try:
                text = xmp.decode(encoding)
            except UnicodeDecodeError:
                return xmp
            return re.sub(r"^<\?xml\b[^>]*\?>\s*", "", text).encode("utf-8")
    return xmp


def with_extension(xmp: bytes, extensions: Mapping[bytes, bytes]) -> bytes | None:
    """The XMP of a JPEG file joined with that of its extended segments, by their names.

    None if what it calls its own is not there or does not make one packet with it.
    """
    named = _EXTENDED.search(xmp)
    name = (named[1] or named[2]) if named else b""
    extension = extensions.get(name, b"")
    if xmp == _stub(name):
        return extension or None
    begin, end = _RDF.search(extension), extension.rfind(_RDF_END)
    if begin is None or end < begin.end():
        return None
    inner = extension[begin.end() : end]
    rest = _EXTENDED.sub(b"", xmp)
    joined, places = re.subn(rb"</rdf:RDF\s*>", lambda end: inner + end[0], rest, count=1)
    try:
        ElementTree.fromstring(joined.rstrip(b"\0"))
    except ElementTree.ParseError:
        return None
    return joined if places else None


def extended(xmp: bytes) -> tuple[bytes, bytes]:
    """XMP too long for one segment of a JPEG file -> the packet that stands for it, and its name."""
    name = hashlib.md5(xmp, usedforsecurity=False).hexdigest().upper().encode()
    return _stub(name), name


def _stub(name: bytes) -> bytes:
    """A packet that says where the rest is, and nothing else."""
    return (
        b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
        b'<rdf:Description rdf:about="" xmlns:xmpNote="http://ns.adobe.com/xmp/note/"'
        b' xmpNote:HasExtendedXMP="' + name + b'"/></rdf:RDF></x:xmpmeta>'
    )


class ProfileError(ValueError):
    """An ICC profile that colours cannot be converted by."""


def profile_space(icc: bytes) -> str | None:
    """Colour space signature of an ICC profile, "RGB ", "GRAY" and so on; None if it is unusable."""
    from PIL import ImageCms

    try:
        return str(ImageCms.ImageCmsProfile(io.BytesIO(icc)).profile.xcolor_space)
    except (OSError, ImageCms.PyCMSError, TypeError):
        return None


def to_srgb(image: Image.Image, icc: bytes) -> Image.Image:
    """An image in the colours of a profile -> sRGB, mode RGB. Raises ProfileError."""
    from PIL import ImageCms

    try:
        profile = ImageCms.ImageCmsProfile(io.BytesIO(icc))
        srgb = ImageCms.createProfile("sRGB")
        converted = ImageCms.profileToProfile(image, profile, srgb, outputMode="RGB")
    except (OSError, ImageCms.PyCMSError) as error:
        raise ProfileError(str(error)) from error
    assert converted is not None  # as it is with inPlace only
    return converted


def _directory(exif: bytes | bytearray, offset: int | None = None) -> _Directory | None:
    """The first directory, or that at an offset; None if it is damaged."""
    try:
        order = {b"II": "<", b"MM": ">"}[bytes(exif[:2])]
        at: int = struct.unpack_from(order + "I", exif, 4)[0] if offset is None else offset
        (count,) = struct.unpack_from(order + "H", exif, at)
    except (KeyError, struct.error):
        return None
    end = at + 2 + 12 * count
    if at < 8 or end > len(exif):
        return None
    records = [bytes(exif[start : start + 12]) for start in range(at + 2, end, 12)]
    tags = [struct.unpack_from(order + "H", record)[0] for record in records]
    following = bytes(exif[end : end + 4]).ljust(4, b"\0")
    return _Directory(order, at, end + 4 - at, dict(zip(tags, records, strict=True)), following)


def _rewritten(exif: bytes | bytearray, directory: _Directory, records: dict[int, bytes]) -> bytes:
    """EXIF with other records in its first directory: where it was if they fit, at the end if not."""
    data = bytearray(exif)
    body = struct.pack(directory.order + "H", len(records))
    body += b"".join(records[tag] for tag in sorted(records)) + directory.following
    if len(body) <= directory.size:
        data[directory.offset : directory.offset + directory.size] = body.ljust(directory.size, b"\0")
    else:
        data += b"\0" * (len(data) % 2)
        struct.pack_into(directory.order + "I", data, 4, len(data))
        data += body
    return bytes(data)


def _exif_without_gps(exif: bytes) -> bytes | None:
    directory = _directory(exif)
    if directory is None:
        return None
    if _GPS not in directory.records:
        return exif
    records = dict(directory.records)
    (at,) = struct.unpack_from(directory.order + "I", records.pop(_GPS), 8)
    positions = _directory(exif, at)
    if positions is None:
        return None
    data = bytearray(exif)
    for record in positions.records.values():
        _, kind, count, offset = struct.unpack(positions.order + "HHII", record)
        size = _SIZES.get(kind, 1) * count
        if size > 4:
            taken = len(data[offset : offset + size])
            data[offset : offset + taken] = bytes(taken)
    data[at : at + positions.size] = bytes(len(data[at : at + positions.size]))
    return _rewritten(data, directory, records)


def _xmp_without_gps(xmp: bytes) -> bytes:
    """Without attributes and elements of that name.

    Ends are looked up, not searched for: a packet of a million beginnings would take for ever.
    """
    ends: dict[bytes, list[int]] = {}
    for end in _XMP_GPS_END.finditer(xmp):
        ends.setdefault(end[1].lower(), []).append(end.end())
    kept, at = [], 0
    for found in _XMP_GPS.finditer(xmp):
        if found.start() < at:
            continue
        kept.append(xmp[at : found.start()])
        at = found.end()
        if found[1] is not None and not found[0].endswith(b"/>"):
            closing = ends.get(found[1].lower(), [])
            following = bisect.bisect(closing, at)
            at = closing[following] if following < len(closing) else at
    return b"".join([*kept, xmp[at:]])


def _whole_number(directory: _Directory, tag: int) -> int | None:
    record = directory.records[tag]
    (kind,) = struct.unpack_from(directory.order + "H", record, 2)
    letter = {1: "B", 3: "H", 4: "I", 7: "B"}.get(kind)
    value: Any = None if letter is None else struct.unpack_from(directory.order + letter, record, 8)[0]
    return None if value is None else int(value)


def _rational(exif: bytes, directory: _Directory, tag: int) -> float | None:
    _, kind, _, offset = struct.unpack(directory.order + "HHII", directory.records[tag])
    if kind != 5 or offset + 8 > len(exif):
        return None
    numerator, denominator = struct.unpack_from(directory.order + "II", exif, offset)
    return numerator / denominator if numerator and denominator else None
