"""The functions that the package exports, end to end."""

from __future__ import annotations

import time

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pictures import photo
from PIL import Image

import crayoncodec
from crayoncodec import CrayWarning, ImageError, LimitError
from crayoncodec.codec import COLORS
from crayoncodec.color import cielab
from crayoncodec.format import container, decoding
from crayoncodec.painting import backends


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    height=st.integers(1, 24),
    width=st.integers(1, 24),
    channels=st.sampled_from([1, 3, 4]),
    n=st.integers(1, 40),
    sampling=st.sampled_from(["mean", "point"]),
    lightness=st.sampled_from(["webp", "zstd"]),
    seed=st.integers(0, 999),
)
def test_lossless_lightness_and_alpha_come_back_exactly(
    height, width, channels, n, sampling, lightness, seed
):
    rng = np.random.default_rng(seed)
    image = rng.integers(0, 256, (height, width, channels), np.uint8)
    image = image[..., 0] if channels == 1 else image
    data = crayoncodec.encode(image, n=n, sampling=sampling, lossless=True, lightness=lightness)
    crayoncodec.verify(data)
    decoded = crayoncodec.decode(data, color="guided")
    assert decoded.shape == (height, width, 4 if channels == 4 else 3)
    rgb = np.dstack([image] * 3) if channels == 1 else image[..., :3]
    planes = [
        cielab.lightness_to_u8(cielab.rgb_to_lab(np.ascontiguousarray(x))[0]) for x in (rgb, decoded[..., :3])
    ]
    assert np.array_equal(decoding.decode_lightness(container.unpack(data)), planes[0])
    # One level: what rounding RGB to 8 bits does to L*. Clipping into sRGB may change it by 2.55 more.
    assert np.abs(planes[0].astype(int) - planes[1]).max() <= (1 if channels == 1 else 4)
    if channels == 4:
        assert np.array_equal(decoded[..., 3], image[..., 3])


def test_spacing_1_keeps_colours_to_the_step():
    image = photo(30, 40)
    decoded = crayoncodec.decode(crayoncodec.encode(image, n=1, lossless=True, step=1 / 256), color="guided")
    assert np.abs(decoded.astype(int) - image).max() <= 2


@pytest.mark.parametrize("kind", COLORS)
def test_colours_come_back_as_far_as_they_were_asked_for(kind):
    image = photo(120, 160)
    decoded = crayoncodec.decode(crayoncodec.encode(image, n=8), color=kind)
    error = np.square(decoded.astype(float) - image).mean()
    assert decoded.dtype == np.uint8
    if kind == "gray":
        assert (decoded == decoded[..., :1]).all()
        assert error > 300
    else:
        assert error < 60


def test_finer_grids_and_higher_qualities_come_closer():
    image = photo(120, 160)

    def error(**options):
        decoded = crayoncodec.decode(crayoncodec.encode(image, **options), color="guided")
        return np.square(decoded.astype(float) - image).mean()

    assert error(n=4) < error(n=12) < error(n=60)
    assert error(n=4, quality=95) < error(n=4, quality=60) < error(n=4, quality=10)


def test_read_and_write(tmp_path):
    image, path = photo(20, 30), tmp_path / "picture.cray"
    crayoncodec.write(path, image, n=5)
    assert path.read_bytes() == crayoncodec.encode(image, n=5)
    assert np.array_equal(
        crayoncodec.read(path, color="guided"), crayoncodec.decode(path.read_bytes(), color="guided")
    )
    assert [file.name for file in tmp_path.iterdir()] == ["picture.cray"]


def test_a_failing_write_leaves_what_was_there(tmp_path):
    path = tmp_path / "picture.cray"
    path.write_bytes(b"old")
    with pytest.raises(ImageError):
        crayoncodec.write(path, np.zeros((2, 2), np.float32))
    assert path.read_bytes() == b"old"
    assert [file.name for file in tmp_path.iterdir()] == ["picture.cray"]


def test_info_says_what_was_asked_for(tmp_path):
    image = np.dstack([photo(40, 50), np.full((40, 50), 9, np.uint8)])
    data = crayoncodec.encode(image, n=7, quality=33, sampling="point", step=0.5, exif=b"II*\0", xmp=b"<x/>")
    path = tmp_path / "picture.cray"
    path.write_bytes(data)
    found = crayoncodec.info(path)
    assert found == crayoncodec.info(data)
    assert (found.width, found.height, found.version) == (50, 40, "1.0")
    assert (found.lightness_coder, found.lightness_quality) == ("avif", 33)
    assert found.alpha_coder in ("webp", "zstd")
    (grid,) = found.grids
    assert (grid.n, grid.sampling, grid.step, grid.rows, grid.columns) == (7, "point", 0.5, 6, 8)
    assert found.metadata == ("exif", "xmp")
    assert found.size == len(data) == 8 + sum(chunk.size for chunk in found.chunks)
    assert found.bpp == pytest.approx(8 * len(data) / 2000)
    assert found.ratio == pytest.approx(len(data) / 8000)
    assert found.paper_bound == pytest.approx(1 / 3 + 1 / 49)
    assert found.corrected_bound == pytest.approx(1 / 3 + 2 / 147)


@pytest.mark.parametrize("options", [{}, {"n": 20}, {"target_size": 90_000}, {"max_delta_e": 5.0}])
@pytest.mark.parametrize("turned", [False, True])
def test_sides_that_no_lossy_coder_takes_are_kept_exactly(turned, options):
    image = np.tile(photo(2, 64), (1, 513, 1))[:, :32769]
    image = np.ascontiguousarray(image.swapaxes(0, 1)) if turned else image
    with pytest.warns(CrayWarning, match="no lossy coder takes .* lightness is kept exactly") as caught:
        data = crayoncodec.encode(image, **options)
    assert len(caught) == 1
    assert (crayoncodec.info(data).lightness_coder, crayoncodec.info(data).lightness_quality) == (
        "zstd",
        None,
    )
    assert np.array_equal(
        decoding.decode_lightness(container.unpack(data)),
        cielab.lightness_to_u8(cielab.rgb_to_lightness(image)),
    )
    assert crayoncodec.decode(data, color="guided").shape == image.shape
    with pytest.raises(ImageError, match="plane coder avif takes sides up to 32768 and"):
        crayoncodec.encode(image, lightness="avif")


@pytest.mark.parametrize("side", [32768, 32769])
@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.filterwarnings("ignore:no lossy coder")
def test_files_at_the_limits_of_coders_decode(side, turned):
    image = np.tile(np.dstack([photo(1, 64), np.arange(64)]).astype(np.uint8), (1, 513, 1))[:, :side]
    image = np.ascontiguousarray(image.swapaxes(0, 1)) if turned else image
    data = crayoncodec.encode(image)
    crayoncodec.verify(data)
    assert crayoncodec.info(data).lightness_coder == ("avif" if side == 32768 else "zstd")
    assert np.array_equal(crayoncodec.decode(data, color="gray")[..., 3], image[..., 3])


@pytest.mark.parametrize("shape", [(1, 2**18), (2**18, 1)])
@pytest.mark.filterwarnings("ignore:no lossy coder")
def test_the_longest_side_is_encoded_and_decoded(shape):
    image = np.tile(np.arange(256, dtype=np.uint8), 1024).reshape(shape)
    data = crayoncodec.encode(image)
    start = time.process_time()
    decoded = crayoncodec.decode(data, color="gray")
    assert time.process_time() - start < 1
    assert decoded.shape == (*shape, 3)
    longer = np.zeros([side + (side > 1) for side in shape], np.uint8)
    with pytest.raises(LimitError, match="the limit of a side is 262144"):
        crayoncodec.encode(longer)


def test_what_cannot_be_decoded_is_not_written(monkeypatch):
    """Libraries write what they cannot read; the last word is the decoder's."""
    from crayoncodec.format import planes, uniform

    image = np.dstack([photo(30, 40), np.eye(30, 40, dtype=np.uint8)])
    encode, encode_grid = planes.encode, uniform.encode
    monkeypatch.setattr(planes, "encode", lambda plane, *rest: encode(plane, *rest)[:-20])
    with pytest.raises(ImageError, match="what was coded cannot be decoded: alpha plane"):
        crayoncodec.encode(image)
    with pytest.raises(ImageError, match="what was coded cannot be decoded: lightness plane"):
        crayoncodec.encode(image[..., :3])
    monkeypatch.setattr(planes, "encode", lambda plane, *rest: encode(plane ^ 1, *rest))
    with pytest.raises(ImageError, match="alpha plane: what was coded decodes to other values"):
        crayoncodec.encode(image)
    monkeypatch.setattr(planes, "encode", encode)
    monkeypatch.setattr(uniform, "encode", lambda samples: encode_grid(samples + 1))
    with pytest.raises(ImageError, match="colour grid: what was coded decodes to other values"):
        crayoncodec.encode(image, n=4)


def test_metadata_given_replaces_the_pictures_own():
    image = Image.fromarray(photo(8, 8))
    image.info["exif"] = b"Exif\0\0MM\0*old"
    assert crayoncodec.info(crayoncodec.encode(image)).metadata == ("exif",)
    assert b"II*new" in crayoncodec.encode(image, exif=b"II*new")
    assert crayoncodec.info(crayoncodec.encode(image, exif=b"")).metadata == ()


def test_a_decoder_loads_its_network_once(monkeypatch):
    from crayoncodec.painting import checkpoints

    calls = []
    load = checkpoints.load
    monkeypatch.setattr(checkpoints, "load", lambda name: calls.append(name) or load(name))
    decoder = crayoncodec.Decoder(device="cpu")
    decoder.decode(crayoncodec.encode(np.zeros((8, 8), np.uint8)))
    assert calls == []
    for _ in range(2):
        decoder.decode(crayoncodec.encode(photo(16, 16), quality=40))
        decoder.decode(crayoncodec.encode(photo(16, 16), n=4))
    assert calls == ["compact"]


@pytest.mark.parametrize(
    ("options", "levels", "paints"),
    [
        ({"quality": 80}, None, False),  # nested, finest spacing 2
        ({"quality": 80}, 6, True),  # and what is decoded of it ends at 4
        ({"quality": 95}, None, False),
        ({"color_quality": 60}, None, True),
        ({"n": 2}, None, False),
        ({"n": 3}, None, True),
    ],
)
def test_auto_loads_a_network_only_where_it_is_worth_it(monkeypatch, options, levels, paints):
    image = photo(40, 56)
    data = crayoncodec.encode(image, **options)
    expected = crayoncodec.decode(data, color="neural" if paints else "guided", levels=levels)
    loaded = []
    for name in ("load", "refiner"):
        load = getattr(backends, name)
        monkeypatch.setattr(
            backends, name, lambda *name, load=load, **given: loaded.append(name) or load(*name, **given)
        )
    assert np.array_equal(crayoncodec.decode(data, levels=levels), expected)
    assert len(loaded) == paints


def test_a_model_that_is_named_is_used(monkeypatch):
    data = crayoncodec.encode(photo(40, 56), quality=80)
    found = crayoncodec.decode(data, model="nested")
    assert np.array_equal(crayoncodec.decode(data, model="nested", color="neural"), found)
    for color in COLORS:
        assert not np.array_equal(crayoncodec.decode(data, color=color), found)


def test_the_papers_network_decodes_too(tmp_path):
    import torch

    from crayoncodec.networks import Crayon
    from crayoncodec.painting import checkpoints

    torch.manual_seed(0)
    described = {"version": "0", "architecture": "crayon", "config": {}, "macs_per_pixel": 1_350_912}
    described |= {"description": "untrained", "license": "none"}
    path = tmp_path / "untrained.safetensors"
    checkpoints.save(Crayon(), path, half=True, **described)
    image = photo(13, 18)
    decoded = crayoncodec.decode(crayoncodec.encode(image, n=4, sampling="point"), model=str(path))
    assert decoded.shape == image.shape


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_any_bytes_like_object_is_a_file(kind):
    data = kind(crayoncodec.encode(photo(6, 6)))
    crayoncodec.verify(data)
    assert crayoncodec.is_cray(data)
    assert crayoncodec.info(data).width == 6
    assert crayoncodec.decode(data, color="guided").shape == (6, 6, 3)


def test_hidden_colours_do_not_tint_visible_ones():
    image = np.zeros((40, 40, 4), np.uint8)
    image[...] = (0, 255, 0, 0)
    image[10:30, 10:30] = (200, 30, 30, 255)
    decoded = crayoncodec.decode(crayoncodec.encode(image, n=20, lossless=True), color="guided")
    assert np.array_equal(decoded[..., 3], image[..., 3])
    visible = image[..., 3] > 0
    assert np.abs(decoded[visible].astype(int) - image[visible]).max() <= 4


def test_is_cray():
    data = crayoncodec.encode(photo(2, 2))
    assert crayoncodec.is_cray(data)
    assert crayoncodec.is_cray(data[:8])
    assert not crayoncodec.is_cray(data[:7])
    assert not crayoncodec.is_cray(b"\x89PNG\r\n\x1a\n")
