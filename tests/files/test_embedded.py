"""Metadata of pictures: found wherever a format keeps it, stored, and given back."""

from __future__ import annotations

import io
import struct
from contextlib import suppress

import numpy as np
import pytest
from pictures import SRGB, XMP, decoded, photo, saved
from PIL import Image, PngImagePlugin

import crayoncodec
from crayoncodec import CrayWarning, ImageError, LimitError, Limits
from crayoncodec.files import images, metadata
from crayoncodec.format.container import unpack

PHOTO = photo(12, 20)


def exif(orientation=6):
    tags = Image.Exif()
    tags[0x010F] = "Crayon"
    tags[0x0112] = orientation
    return tags.tobytes().removeprefix(metadata.EXIF_PREFIX)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "AVIF"])
def test_metadata_is_stored_verbatim(kind):
    options = {"exif": metadata.EXIF_PREFIX + exif(), "icc_profile": SRGB, "xmp": XMP}
    if kind == "PNG":
        options["pnginfo"] = PngImagePlugin.PngInfo()
        options["pnginfo"].add_itxt("XML:com.adobe.xmp", options.pop("xmp").decode())
    file = unpack(crayoncodec.encode(Image.open(io.BytesIO(saved(Image.fromarray(PHOTO), kind, **options)))))
    assert file.metadata == {"exif": exif(), "icc_profile": SRGB, "xmp": XMP}
    # Orientation 6 would have turned it.
    assert (file.header.width, file.header.height) == (20, 12)


@pytest.mark.parametrize("extension", [".png", ".jpg", ".webp", ".avif", ".tif"])
def test_metadata_is_given_back(extension):
    result = decoded(crayoncodec.encode(PHOTO, exif=exif(), icc_profile=SRGB, xmp=XMP), extension)
    assert result.info["icc_profile"] == SRGB
    assert result.info["xmp"] == XMP
    assert result.getexif()[0x010F] == "Crayon"
    if extension == ".tif":  # which Pillow turns as it opens it
        assert result.size == (12, 20)
    else:
        assert result.info["exif"].removeprefix(metadata.EXIF_PREFIX) == exif()
        assert result.getexif()[0x0112] == 6
        assert result.size == (20, 12)


def test_tiffs_come_turned_from_pillow_and_have_no_orientation_left():
    data = saved(Image.fromarray(PHOTO), "TIFF", exif=exif(), icc_profile=SRGB)
    file = unpack(crayoncodec.encode(Image.open(io.BytesIO(data)), lossless=True))
    assert (file.header.width, file.header.height) == (12, 20)
    assert file.metadata["icc_profile"] == SRGB
    tags = Image.Exif()
    tags.load(file.metadata["exif"])
    assert dict(tags) == {0x010F: "Crayon"}


def test_damaged_exif_is_left_out_where_pillow_would_parse_it():
    data = crayoncodec.encode(PHOTO, exif=b"damaged", xmp=XMP)
    assert decoded(data, ".png").info["exif"] == metadata.EXIF_PREFIX + b"damaged"
    for extension in (".avif", ".tif"):
        with pytest.warns(CrayWarning, match="EXIF is damaged, left out of the (AVIF|TIFF) file"):
            assert decoded(data, extension).info["xmp"] == XMP


def test_more_metadata_than_a_decoder_takes_is_refused():
    crayoncodec.encode(PHOTO, exif=b"II", xmp=b"<x/>", limits=Limits(metadata=6))
    with pytest.raises(LimitError, match="metadata has 6 bytes, the limit is 5"):
        crayoncodec.encode(PHOTO, exif=b"II", xmp=b"<x/>", limits=Limits(metadata=5))


def test_metadata_of_jpeg_2000_lies_in_its_boxes():
    def box(kind, payload, size=None):
        return struct.pack(">I4s", len(payload) + 8 if size is None else size, kind) + payload

    xmp_name = bytes.fromhex("BE7ACFCB97A942E89C71999491E3AFAC")
    plain = saved(Image.fromarray(PHOTO), "JPEG2000")
    at = plain.index(b"jp2h") - 4
    size = struct.unpack_from(">I", plain, at)[0]
    head = box(b"jp2h", plain[at + 8 : at + size] + box(b"colr", b"\2\0\0" + SRGB))
    more = box(b"uuid", b"JpgTiffExif->JP2" + exif(1)) + box(b"uuid", xmp_name + XMP) + box(b"free", b"x")
    picture = images.open_picture(plain[:at] + head + more + plain[at + size :])
    assert picture.metadata == {"exif": exif(1), "xmp": XMP, "icc_profile": SRGB}
    assert np.array_equal(picture.rgb, images.open_picture(plain).rgb)
    assert images.open_picture(plain).metadata == {}
    for broken in (box(b"uuid", b"Jpg", 7), box(b"uuid", b"", 1), box(b"uuid", b"", 2**31)):
        with suppress(ImageError):  # as OpenJPEG sees it; that it ends is enough
            images.open_picture(plain[:at] + head + broken + plain[at + size :])


def test_an_ordinary_photograph_loses_nothing_and_says_nothing():
    tags = Image.Exif()
    tags.load(exif())
    for tag, value in ((0x011A, 72.0), (0x011B, 72.0), (0x0128, 2)):
        tags[tag] = value
    options = {"exif": tags, "icc_profile": SRGB, "xmp": XMP, "dpi": (72, 72)}
    picture = images.open_picture(saved(Image.fromarray(PHOTO), "JPEG", **options))
    assert picture.metadata == {"exif": metadata.exif_bytes(tags), "icc_profile": SRGB, "xmp": XMP}


@pytest.mark.parametrize(("kind", "dpi"), [("PNG", 300), ("JPEG", 300), ("BMP", 150), ("TIFF", 96)])
def test_resolution_is_kept_as_exif(kind, dpi):
    for more in ({}, {"exif": metadata.EXIF_PREFIX + exif(1)} if kind != "BMP" else {}):
        picture = images.open_picture(saved(Image.fromarray(PHOTO), kind, dpi=(dpi, dpi), **more))
        assert metadata.resolution(picture.metadata) == pytest.approx((dpi, dpi), abs=0.02)
        assert metadata.says_more(picture.metadata["exif"]) == bool(more)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "TIFF"])
def test_resolution_that_says_nothing_is_not(kind):
    assert images.open_picture(saved(Image.fromarray(PHOTO), kind)).metadata == {}
    assert images.open_picture(saved(Image.fromarray(PHOTO), kind, dpi=(72, 72))).metadata == {}


def text(**entries):
    info = PngImagePlugin.PngInfo()
    for key, value in entries.items():
        info.add_text(key.replace("_", " "), value, zip="Raw" in key)
    return saved(Image.fromarray(PHOTO), "PNG", pnginfo=info)


def raw_profile(kind, data):
    return text(**{f"Raw_profile_type_{kind}": f"\n{kind}\n{len(data):8}\n{data.hex()}\n"})


@pytest.mark.parametrize("prefix", [b"", metadata.EXIF_PREFIX])
@pytest.mark.parametrize("kind", ["exif", "APP1"])
def test_exif_in_the_text_of_a_png(kind, prefix):
    assert images.open_picture(raw_profile(kind, prefix + exif())).metadata == {"exif": exif()}


@pytest.mark.parametrize(
    ("kind", "data", "expected"),
    [("xmp", XMP, {"xmp": XMP}), ("APP1", b"http://ns.adobe.com/xap/1.0/\0" + XMP, {"xmp": XMP}),
     ("icc", SRGB, {"icc_profile": SRGB}), ("icm", SRGB, {"icc_profile": SRGB})],
)  # fmt: skip
def test_other_profiles_in_the_text_of_a_png(kind, data, expected):
    assert images.open_picture(raw_profile(kind, data)).metadata == expected


@pytest.mark.parametrize("value", ["", "exif", "exif x 41", "exif 4 xyz"])
def test_damaged_profiles_in_text_are_told(value):
    with pytest.warns(CrayWarning, match="'Raw profile type exif' is damaged, left out"):
        assert images.open_picture(text(Raw_profile_type_exif=value)).metadata == {}


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-be"])
def test_xmp_is_stored_as_utf_8(encoding):
    data = saved(Image.fromarray(PHOTO), "JPEG", xmp=XMP.decode().encode(encoding))
    assert images.open_picture(data).metadata == {"xmp": XMP}
    assert unpack(crayoncodec.encode(PHOTO, xmp=XMP.decode().encode(encoding))).metadata == {"xmp": XMP}


@pytest.mark.parametrize(
    ("data", "name"),
    [(saved(Image.fromarray(PHOTO), "JPEG", comment=b"hello"), "comment"),
     (saved(Image.fromarray(PHOTO), "GIF", comment=b"hello"), "comment"),
     (text(Author="me", Title="it"), r"text \(Author, Title\)"),
     (raw_profile("iptc", b"\x1c\x02\x05\0\1x"), "IPTC"),
     (saved(Image.fromarray(PHOTO), "JPEG", extra=b"\xff\xed\0\x24Photoshop 3.0\0" b"8BIM\4\4\0\0\0\0\0\7"
            b"\x1c\x02\x05\0\2hi\0"), "IPTC"),
     (saved(Image.fromarray(PHOTO), "JPEG", xmp=b'<x hdrgm:Version="1.0"/>'), "gain map")],
)  # fmt: skip
def test_what_is_not_kept_is_named(data, name):
    with pytest.warns(CrayWarning, match=f"^not kept: {name}$"):
        images.open_picture(data)


@pytest.mark.parametrize(
    "data",
    [text(**{"Software": "x", "date:create": "2026", "exif:Make": "x"}),
     saved(Image.fromarray(PHOTO), "JPEG2000"),
     saved(Image.fromarray(PHOTO), "JPEG", extra=b"\xff\xed\0\x21Photoshop 3.0\0" b"8BIM\4\4\0\0\0\0\0\5"
           b"\x1c\x02\0\0\0\0")],
)  # fmt: skip
def test_what_says_nothing_is_not_named(data):
    assert images.open_picture(data).metadata == {}


def test_metadata_of_photoshops_files_lies_in_their_resources():
    image = Image.fromarray(PHOTO)
    image.format = "PSD"
    image.resources = [(1005, "", b"x"), (1058, "", exif()), (1060, "", XMP)]
    assert images.from_pil(image).metadata == {"exif": exif(), "xmp": XMP}
