"""EXIF and XMP, changed byte by byte: what they say afterwards, and that the rest is as it was."""

from __future__ import annotations

import struct
import time

import pytest
from PIL import Image

from crayoncodec.files import metadata

ORDERS = ("<", ">")


def exif(order, tags, *, positions=(), after=b""):
    """A TIFF structure: ``tags`` are (tag, type, count, value or bytes), ``positions`` those of GPS."""
    tags = [*tags, *([(34853, 4, 1, None)] if positions else [])]
    start = 8 + 2 + 12 * len(tags) + 4
    gps = 2 + 12 * len(positions) + 4 if positions else 0
    heap = b""

    def records(entries, offset):
        nonlocal heap
        out = struct.pack(order + "H", len(entries))
        for tag, kind, count, value in entries:
            if value is None:
                field = struct.pack(order + "I", start)
            elif isinstance(value, bytes):
                field = struct.pack(order + "I", start + gps + len(heap))
                heap += value
            else:
                field = struct.pack(
                    order + ("HH" if kind == 3 else "I"), *([value, 0] if kind == 3 else [value])
                )
            out += struct.pack(order + "HHI", tag, kind, count) + field
        return out + bytes(4)

    first = records(tags, start)
    second = records(positions, start) if positions else b""
    mark = b"II*\0" if order == "<" else b"MM\0*"
    return mark + struct.pack(order + "I", 8) + first + second + heap + after


def parsed(data):
    tags = Image.Exif()
    tags.load(data)
    return tags


CAMERA = (271, 2, 7, b"Crayon\0\0")
NOTE = b"maker note whose offsets are counted from the start"
LATITUDE = struct.pack("<6I", 48, 1, 12, 1, 30, 1)


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("value", range(1, 9))
def test_orientation_is_read_and_reset_in_its_place(order, value):
    data = exif(order, [CAMERA, (274, 3, 1, value)], after=NOTE)
    assert metadata.orientation({"exif": data}) == value
    changed = metadata.upright({"exif": data})["exif"]
    assert metadata.orientation({"exif": changed}) == 1
    assert dict(parsed(changed)) == {271: "Crayon", 274: 1}
    assert len(changed) == len(data)
    assert sum(a != b for a, b in zip(changed, data, strict=True)) == (value != 1)


@pytest.mark.parametrize("value", [0, 9, 65535])
def test_orientations_that_there_are_not_are_upright(value):
    assert metadata.orientation({"exif": exif("<", [(274, 3, 1, value)])}) == 1


@pytest.mark.parametrize(
    "xmp",
    [b'<a tiff:Orientation="6" b="6"/>', b"<a tiff:Orientation='6' b=\"6\"/>",
     b"<tiff:Orientation>6</tiff:Orientation><b>6</b>", b'<a tiff:Orientation = "6"/>6'],
)  # fmt: skip
def test_xmp_tells_the_orientation_where_exif_does_not(xmp):
    assert metadata.orientation({"xmp": xmp}) == 6
    assert metadata.orientation({"xmp": xmp, "exif": exif("<", [(274, 3, 1, 3)])}) == 3
    assert metadata.upright({"xmp": xmp})["xmp"] == xmp.replace(b"6", b"1", 1)


@pytest.mark.parametrize("order", ORDERS)
def test_resolution_is_added_and_changed_and_all_else_stays(order):
    data = exif(order, [CAMERA, (274, 3, 1, 6)], after=NOTE)
    assert metadata.resolution({"exif": data}) is None
    added = metadata.with_resolution(data, (300, 72.5))
    assert metadata.resolution({"exif": added}) == (300, 72.5)
    assert dict(parsed(added)) == {271: "Crayon", 274: 6, 282: 300, 283: 72.5, 296: 2}
    # Offsets of what was there hold.
    assert added[8 : len(data)] == data[8:]
    again = metadata.with_resolution(added, (96, 96))
    assert metadata.resolution({"exif": again}) == (96, 96)


def test_resolution_alone_is_exif_too():
    alone = metadata.with_resolution(None, (299.9994, 299.9994))
    assert metadata.resolution({"exif": alone}) == pytest.approx((299.9994, 299.9994))
    assert not metadata.says_more(alone)
    assert metadata.says_more(exif("<", [CAMERA]))


@pytest.mark.parametrize(("unit", "expected"), [(2, 118), (3, 118 * 2.54), (1, None)])
def test_units_of_resolution(unit, expected):
    value = struct.pack("<II", 118, 1)
    data = exif("<", [(282, 5, 1, value), (283, 5, 1, value), (296, 3, 1, unit)])
    assert metadata.resolution({"exif": data}) == (None if expected is None else (expected, expected))


@pytest.mark.parametrize(
    "damaged",
    [b"", b"II", b"II*\0", b"damaged", b"II*\0\xff\xff\xff\xff\0\0", b"MM\0*\0\0\0\x08\xff\xff" + bytes(40)],
)
def test_damaged_exif_says_nothing_and_stays_as_it_is(damaged):
    assert metadata.orientation({"exif": damaged}) == 1
    assert metadata.resolution({"exif": damaged}) is None
    assert metadata.with_resolution(damaged, (300, 300)) == damaged
    assert metadata.upright({"exif": damaged}) == {"exif": damaged}
    assert not metadata.is_readable(damaged)
    assert metadata.without_gps({"exif": damaged}) == {}  # it may hide there


@pytest.mark.parametrize("dpi", [(2**24, 2**24 - 0.1), (10_668_000.0254, 1.0001), (0.01, 1 / 3)])
def test_resolution_of_any_size_is_kept(dpi):
    assert metadata.resolution({"exif": metadata.with_resolution(None, dpi)}) == pytest.approx(dpi, rel=1e-2)


@pytest.mark.parametrize("dpi", [(-1, 2), (float("nan"), 2), (2, float("inf")), (0, 300), (300,)])
def test_resolution_that_makes_no_sense_is_refused(dpi):
    with pytest.raises(ValueError, match="expected two numbers above 0, at most 16777216"):
        metadata.with_resolution(None, dpi)


@pytest.mark.parametrize("order", ORDERS)
def test_positions_go_to_the_last_byte_and_the_rest_stays(order):
    positions = [
        (1, 2, 2, 0x4E000000 if order == ">" else 0x4E),
        (2, 5, 3, LATITUDE),
        (29, 2, 11, b"2026:01:01\0"),
    ]
    data = exif(order, [CAMERA, (274, 3, 1, 6)], positions=positions, after=NOTE)
    assert parsed(data).get_ifd(34853)[1] == "N"
    cleared = metadata.without_gps({"exif": data})["exif"]
    assert dict(parsed(cleared)) == {271: "Crayon", 274: 6}
    assert LATITUDE not in cleared
    assert b"2026:01:01" not in cleared
    assert cleared.endswith(NOTE)
    assert len(cleared) == len(data)


def test_exif_without_positions_stays():
    data = exif("<", [CAMERA], after=NOTE)
    assert metadata.without_gps({"exif": data}) == {"exif": data}


def test_positions_in_xmp_go():
    xmp = (
        b'<rdf:Description exif:GPSLatitude="48,12N" exif:GPSLongitude = \'16,22E\' dc:title="GPS trip"'
        b' drone-dji:GpsLatitude="48.2">\n<exif:GPSAltitude>1/1</exif:GPSAltitude>'
        b'<exif:GPSVersionID/><exif:GPSArea a="b">\n<x>48</x></exif:GPSArea><dc:source>GPS</dc:source>'
    )
    left = metadata.without_gps({"xmp": xmp})["xmp"]
    assert left == b'<rdf:Description dc:title="GPS trip">\n<dc:source>GPS</dc:source>'


@pytest.mark.parametrize("piece", [b"<e:gpsA>", b"<a:gps ", b" a:gps=", b'<e:gpsA x="/>', b"</e:gpsA "])
def test_positions_are_looked_for_in_a_moment(piece):
    xmp = piece * 2**17
    start = time.perf_counter()
    left = metadata.without_gps({"xmp": xmp + b'<exif:GPSAltitude>1/1</EXIF:gpsaltitude><x y="z"/>'})["xmp"]
    assert time.perf_counter() - start < 20  # it was hours
    assert left.endswith(b'<x y="z"/>')
    assert b"1/1" not in left


@pytest.mark.parametrize("extension", [b"<rdf:RDF>" * 2**17, b"<rdf:RDF " * 2**17, b"</rdf:RDF" * 2**17])
def test_extended_xmp_is_joined_in_a_moment(extension):
    packet = b' xmpNote:HasExtendedXMP="NAME" <rdf:RDF></rdf:RDF>' + b" " * 60_000
    start = time.perf_counter()
    assert metadata.with_extension(packet, {b"NAME": extension}) is None
    assert time.perf_counter() - start < 20


@pytest.mark.parametrize(
    "encoding", ["utf-8", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le", "utf-32-be"]
)
@pytest.mark.parametrize("declaration", ["", '<?xml version="1.0" encoding="UTF-16"?>\n'])
def test_xmp_becomes_utf_8(encoding, declaration):
    text = '<x:xmpmeta title="été"/>'
    if encoding == "utf-8":
        declaration = ""
    assert metadata.utf8((declaration + text).encode(encoding)).decode() == text


def test_xmp_that_is_no_text_stays():
    assert metadata.utf8(b"\xff\xfe<\xd8") == b"\xff\xfe<\xd8"


def test_extended_xmp_comes_together_again():
    packet = b'<x:xmpmeta xmlns:x="adobe:ns:meta/">' + b" " * 70_000 + b"</x:xmpmeta>"
    stub, name = metadata.extended(packet)
    assert len(stub) < 1000
    assert metadata.with_extension(stub, {name: packet}) == packet
    assert metadata.with_extension(stub, {}) is None


def test_extended_xmp_is_joined_with_what_the_packet_has_itself():
    def packet(content, note=b""):
        return (
            b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
            b'<rdf:Description xmlns:xmpNote="note" xmlns:dc="dc"' + note + b">" + content +
            b"</rdf:Description></rdf:RDF></x:xmpmeta>"
        )  # fmt: skip

    main = packet(b"<dc:title>here</dc:title>", b' xmpNote:HasExtendedXMP="NAME"')
    joined = metadata.with_extension(main, {b"NAME": packet(b"<dc:source>there</dc:source>")})
    assert joined.count(b"<rdf:Description") == 2
    assert b"here" in joined
    assert b"there" in joined
    assert b"HasExtendedXMP" not in joined
    for broken in ({}, {b"NAME": b"no rdf"}, {b"OTHER": main}, {b"NAME": packet(b"<dc:source>")}):
        assert metadata.with_extension(main, broken) is None
