"""What the functions that the package exports are given: what they take, and how they refuse the rest."""

from __future__ import annotations

import inspect
import io
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from pictures import photo

import crayoncodec
from crayoncodec import ImageError, LimitError, Limits, codec


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"n": 0}, "n is 0"),
        ({"n": 65536}, "n is 65536"),
        ({"quality": -1}, "quality is -1"),
        ({"quality": 101}, "quality is 101"),
        ({"quality": 80.5}, "quality is 80.5"),
        ({"n": 2.5}, "n is 2.5"),
        ({"n": 4, "step": 0}, "step is 0"),
        ({"n": 4, "step": float("inf")}, "step is inf"),
        ({"n": 4, "step": float("nan")}, "step is nan"),
        ({"sampling": "median"}, "sampling is 'median'"),
        ({"step": 2.0}, "step is of one grid, expected n with it"),
        ({"sampling": "point"}, "sampling is of one grid, expected n with it"),
        ({"color_quality": 101}, "color_quality is 101"),
        ({"max_delta_e": 0}, "max_delta_e is 0, expected more than 0"),
        ({"target_size": -5}, "target_size is -5, expected more than 0 bytes"),
        ({"n": 20, "color_quality": 50}, "n does not go with color_quality"),
        ({"n": 20, "target_size": 5000}, "n does not go with target_size"),
        ({"max_delta_e": 2, "target_size": 5000}, "max_delta_e does not go with target_size"),
        ({"quality": 0, "target_size": 5000}, "target_size does not go with quality"),
        ({"lossless": True, "target_size": 5000}, "target_size does not go with lossless"),
        ({"lightness": "zstd"}, "zstd is not lossy"),
        ({"lightness": "avif", "lossless": True}, "avif is not lossless"),
        ({"quality": True}, "quality is True, expected a whole number of 0 to 100"),
        ({"color_quality": np.bool_(True)}, "color_quality is True, expected a whole number"),
        ({"quality": "80"}, "quality is 80, expected a whole number"),
        ({"effort": 5.5}, "effort is 5.5, expected a whole number of 1 to 9"),
        ({"effort": None}, "effort is None, expected a whole number of 1 to 9"),
        ({"n": True}, "n is True, expected a whole number of 1 to 65535"),
        ({"n": 4, "step": True}, "step is True"),
        ({"n": 4, "step": -1.0}, "step is -1.0, expected more than 0"),
        ({"n": 4, "step": "1"}, "step is 1, expected more than 0"),
        ({"max_delta_e": float("nan")}, "max_delta_e is nan, expected more than 0"),
        ({"max_delta_e": True}, "max_delta_e is True"),
        ({"max_delta_e": "2"}, "max_delta_e is 2, expected more than 0"),
        ({"target_size": True}, "target_size is True"),
        ({"target_size": float("nan")}, "target_size is nan"),
        ({"target_size": 900.5}, "target_size is 900.5, expected more than 0 bytes, a whole number"),
        ({"lossless": "no"}, "lossless is 'no', expected True or False"),
        ({"lightness": "jpeg"}, "lightness is 'jpeg', expected one of zstd, webp, avif"),
    ],
)
def test_options_out_of_range_are_refused(options, text):
    for image in (photo(4, 4), np.dstack([photo(4, 4), np.eye(4, dtype=np.uint8)])):
        with pytest.raises(ValueError, match=text):
            crayoncodec.encode(image, **options)


@pytest.mark.parametrize(
    ("option", "value", "error"),
    [
        ("levels", True, ValueError), ("levels", 2.5, ValueError), ("levels", float("nan"), ValueError),
        ("levels", "3", ValueError), ("levels", [], ValueError), ("model", 5, TypeError),
        ("model", [], TypeError), ("limits", None, TypeError), ("limits", 5, TypeError),
        ("scale", 3, ValueError), ("scale", 0, ValueError), ("scale", 32, ValueError),
        ("scale", True, ValueError), ("scale", 8.0, ValueError), ("scale", "1/8", ValueError),
        ("scale", None, ValueError), ("scale", [], ValueError),
    ],
)  # fmt: skip
def test_options_of_decoders_are_refused_at_once(option, value, error):
    with pytest.raises(error, match=f"^{option} is .*, expected "):
        crayoncodec.Decoder(**{option: value})


@pytest.mark.parametrize(
    ("options", "text"),
    [({"color": "neural"}, "color neural"), ({"model": "nested"}, "model"),
     ({"model": "nested", "color": "neural"}, "model")],
)  # fmt: skip
def test_no_network_goes_with_a_smaller_picture(options, text):
    message = f"^scale does not go with {text}: no network paints reduced pictures$"
    with pytest.raises(ValueError, match=message):
        crayoncodec.decode(b"", scale=2, **options)


@pytest.mark.parametrize("value", [float("nan"), -1, "5", None, True])
def test_limits_are_numbers(value):
    with pytest.raises(ValueError, match=f"pixels is {value!r}, expected a number from 0 on"):
        Limits(pixels=value)
    data = crayoncodec.encode(photo(4, 4))
    assert crayoncodec.decode(data, limits=Limits(pixels=float("inf"))).shape == (4, 4, 3)
    for use in (crayoncodec.info, crayoncodec.verify, crayoncodec.decode, crayoncodec.encode):
        with pytest.raises(TypeError, match="limits is None, expected Limits"):
            use(photo(4, 4) if use is crayoncodec.encode else data, limits=None)


def test_limits_are_those_of_the_caller():
    data = crayoncodec.encode(photo(10, 10))
    with pytest.raises(LimitError, match="the limit is 99"):
        crayoncodec.decode(data, limits=Limits(pixels=99))
    with pytest.raises(LimitError, match="the limit is 99"):
        crayoncodec.encode(photo(10, 10), limits=Limits(pixels=99))


def test_numbers_of_numpy_are_numbers():
    image = photo(20, 30)
    for numpy_options, plain in (
        ({"quality": np.int64(70), "color_quality": np.uint8(50)}, {"quality": 70, "color_quality": 50}),
        ({"n": np.int32(4), "step": np.float32(0.5)}, {"n": 4, "step": 0.5}),
        ({"n": np.uint8(200), "step": np.uint8(3)}, {"n": 200, "step": 3}),
        ({"lossless": np.True_, "effort": np.int8(1)}, {"lossless": True, "effort": 1}),
        ({"max_delta_e": np.float64(5)}, {"max_delta_e": 5}),
        ({"target_size": np.int64(1500)}, {"target_size": 1500}),
        ({"target_size": np.uint16(1500)}, {"target_size": 1500}),
    ):
        assert crayoncodec.encode(image, **numpy_options) == crayoncodec.encode(image, **plain)
    data = crayoncodec.encode(image)
    expected = crayoncodec.decode(data, levels=3)
    assert np.array_equal(crayoncodec.decode(data, levels=np.uint8(3)), expected)
    assert np.array_equal(crayoncodec.decode(data, scale=np.int8(4)), crayoncodec.decode(data, scale=4))


@pytest.mark.parametrize(
    "source",
    ["x.cray", Path("x.cray"), io.BytesIO(b"\x89CRY"), 5, None, [1, 2]],
    ids=lambda x: type(x).__name__,
)
@pytest.mark.parametrize("function", ["decode", "verify", "is_cray"])
def test_a_path_or_a_file_is_not_its_bytes(function, source):
    text = (
        rf"data is {type(source).__name__}, expected the bytes of a .cray file; read\(path\) takes its path"
    )
    with pytest.raises(TypeError, match=text):
        getattr(crayoncodec, function)(source)
    with pytest.raises(TypeError, match=text):
        crayoncodec.Decoder().decode(source)


def test_info_takes_bytes_of_every_kind():
    data = crayoncodec.encode(photo(4, 4))
    spread = memoryview(b"".join(bytes([byte, 0]) for byte in data))[::2]
    for given_bytes in (bytearray(data), memoryview(data), spread):
        assert crayoncodec.info(given_bytes) == crayoncodec.info(data)


@pytest.mark.parametrize("source", [5, None, [1, 2], io.StringIO("x")], ids=lambda x: type(x).__name__)
def test_info_says_what_it_takes(source):
    with pytest.raises(TypeError, match=f"source is {type(source).__name__}, expected a path, bytes"):
        crayoncodec.info(source)


@pytest.mark.parametrize(
    "image", ["x.png", Path("x.png"), b"\x89PNG", io.BytesIO(b"x")], ids=lambda x: type(x).__name__
)
def test_a_path_or_a_file_is_not_a_picture(image):
    with pytest.raises(
        ImageError, match=f"image is {type(image).__name__}, expected an array or a PIL image"
    ):
        crayoncodec.encode(image)


@pytest.mark.parametrize("name", ["exif", "icc_profile", "xmp"])
@pytest.mark.parametrize("value", ["text", 5, [1], np.int64(3), np.zeros(3)])
def test_metadata_are_bytes(name, value):
    with pytest.raises(TypeError, match=f"{name} is {type(value).__name__}, expected bytes"):
        crayoncodec.encode(photo(4, 4), **{name: value})
    data = crayoncodec.encode(photo(4, 4), **{name: b"<x/>"})
    for same in (bytearray(b"<x/>"), memoryview(b"<x/>")):
        assert crayoncodec.encode(photo(4, 4), **{name: same}) == data


@pytest.mark.parametrize(
    ("function", "options"),
    [(codec.encode, codec.EncodeOptions), (codec.decode, codec.DecodeOptions)],
)
def test_options_that_are_passed_on_are_those_of_the_function(function, options):
    parameters = inspect.signature(function).parameters.values()
    assert {name: kind.__forward_arg__ for name, kind in options.__annotations__.items()} == {
        one.name: one.annotation for one in parameters if one.kind is one.KEYWORD_ONLY
    }


def test_a_type_checker_sees_what_read_and_write_take(tmp_path):
    pytest.importorskip("mypy")
    script = tmp_path / "script.py"
    script.write_text(
        "import crayoncodec, numpy\n"
        "crayoncodec.write('x.cray', numpy.zeros((2, 2)), quality=80, n=None)\n"
        "picture = crayoncodec.read('x.cray', color='guided')\n"
        "crayoncodec.write('x.cray', picture, bogus=3)\n"
        "crayoncodec.write('x.cray', picture, quality='high')\n"
        "crayoncodec.read('x.cray', color='sepia')\n"
    )
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", script.name],
        check=False,
        capture_output=True,
        text=True,
        cwd=tmp_path,
    )
    lines = [line for line in done.stdout.splitlines() if line.startswith("script.py:")]
    assert [line.split(":")[1] for line in lines if "error" in line] == ["4", "5", "6"], done.stdout
    assert 'Unexpected keyword argument "bogus" for "write"' in lines[0]


@pytest.mark.parametrize("options", [{"color": "sepia"}, {"device": "tpu"}, {"precision": "int8"}])
def test_a_decoder_refuses_what_it_does_not_know(options):
    with pytest.raises(ValueError, match="expected one of"):
        crayoncodec.Decoder(**options)
