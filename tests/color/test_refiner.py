"""What is shown behind nested grids: the same integers by kernels, NumPy and torch, however it is cut."""

import hashlib

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pictures import photo

from crayoncodec.color import cielab, features, layers, refiner
from crayoncodec.color.grid import reduce_to_cells
from crayoncodec.errors import CheckpointError, DeviceError
from crayoncodec.machine import kernels
from crayoncodec.networks.behind_loop import IntegerRefiner
from crayoncodec.networks.behind_loop import Refiner as Trained

STEP = 20 * 256


def picture(height, width, spacing, seed=0):
    """A stored plane, AB and the cells of ``spacing``, in 1/256."""
    lightness, ab = cielab.rgb_to_lab(photo(height, width, seed))
    samples = np.rint(reduce_to_cells(ab, spacing, "mean") * 256).astype(np.int16)
    return cielab.lightness_to_u8(lightness), ab, samples


def painted(plane, samples, spacing, network, rows=50):
    """All of a picture, in bands of so many rows."""
    out = np.empty((2, *plane.shape), np.int32)
    for strip, colors in refiner.Painting(plane, samples, spacing, STEP, network).strips():
        for top in range(strip.start, strip.stop, rows):
            band = slice(top, min(strip.stop, top + rows))
            out[:, band] = colors(band)
    return out


@pytest.fixture(params=[None, 0, 1], ids=["numpy", "plain", "fastest"])
def version(request, monkeypatch):
    """Each version of the kernels, and none."""
    if request.param is not None and (not kernels.are_there() or request.param > kernels.version()):
        pytest.skip("there is no such version of the kernels here")
    monkeypatch.setattr(kernels, "version", lambda: request.param)
    return request.param


@settings(deadline=None, max_examples=25)
@given(
    st.tuples(st.integers(1, 90), st.integers(1, 90)), st.sampled_from([1, 2, 4, 16]), st.booleans(),
    st.integers(0, 9),
)  # fmt: skip
def test_kernels_give_the_integers_of_numpy(shape, spacing, refined, seed):
    plane, _, samples = picture(*shape, spacing, seed)
    network = refiner.load() if refined else None
    found = painted(plane, samples, spacing, network)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kernels, "version", lambda: None)
        assert np.array_equal(painted(plane, samples, spacing, network, rows=24), found)


@pytest.mark.parametrize("spacing", [2, 4])
def test_what_is_trained_becomes_these_integers(version, spacing):
    plane, _, samples = picture(96, 112, spacing)
    network = Trained()
    network.take(refiner.load().layers)
    network.rounds = True
    batch = [torch.from_numpy(each.astype(np.int64)) for each in (plane[None, None], samples[None])]
    with torch.no_grad():
        expected = network(*batch, torch.tensor([STEP / 256]))[0].numpy() * 256
    # In floating point nothing is floored at the end.
    difference = expected - painted(plane, samples, spacing, refiner.load())
    assert difference.min() > -0.01
    assert difference.max() < 1.01


def test_torch_gives_the_same_integers():
    rng = np.random.default_rng(0)
    given = rng.integers(-127, 128, (refiner.PLANES, 40, 24)).astype(np.int8)
    found = IntegerRefiner(refiner.load().layers)(torch.from_numpy(given)[None])[0].numpy()
    assert np.array_equal(found, refiner.load().outputs(given))


@pytest.mark.parametrize("refined", [False, True])
@pytest.mark.parametrize("spacing", [1, 2, 4, 16, 64])
def test_strips_are_not_seen(monkeypatch, spacing, refined):
    plane, _, samples = picture(901, 70, spacing)
    network = refiner.load() if refined else None
    whole = painted(plane, samples, spacing, network)
    monkeypatch.setattr(refiner, "_STRIP", 1)
    assert len([*refiner.Painting(plane, samples, spacing, STEP, network).strips()]) > 3
    assert np.array_equal(painted(plane, samples, spacing, network), whole)


@pytest.mark.parametrize("spacing", [2, 8])
def test_guided_details_keep_the_cells(version, spacing):
    """Whatever a cell's pixels are, their mean is the cell."""
    plane, _, samples = picture(64, 48, spacing)
    means = reduce_to_cells(painted(plane, samples, spacing, None).astype(np.float32), spacing, "mean")
    # Each level rounds its children down by half a unit at most, twice.
    assert np.abs(means - samples).max() <= spacing.bit_length()


def test_colours_come_nearer():
    """Guided details are nearer to the picture than the cells, the network nearer yet."""
    errors = np.zeros(3)
    for seed in range(4):
        plane, ab, samples = picture(128, 128, 4, seed)
        flat = samples.repeat(4, 1).repeat(4, 2)
        for k, found in enumerate(
            (flat, painted(plane, samples, 4, None), painted(plane, samples, 4, refiner.load()))
        ):
            errors[k] += np.square(found / 256 - ab).mean()
    assert errors[1] < 0.8 * errors[0]
    assert errors[2] < errors[1]


def test_a_ramp_stays_as_it_is(version):
    """Where lightness has no texture the network is not heard."""
    plane = np.linspace(40, 90, 160).astype(np.uint8)[None].repeat(96, 0)
    samples = np.full((2, 24, 40), 2000, np.int16)
    assert np.array_equal(painted(plane, samples, 4, refiner.load()), painted(plane, samples, 4, None))
    assert refiner.gate(features.pyramid(plane[None], 2)).max() == 0
    noisy = np.random.default_rng(0).integers(0, 256, plane.shape, np.uint8)
    assert refiner.gate(features.pyramid(noisy[None], 2)).min() > 0.9 * refiner.LOUDEST


def test_sums_are_exact_in_float32():
    for name, layer in refiner.load().layers.items():
        assert layer.largest_sum(np.full(layer.weights.shape[1], layers.TOP)) < layers.EXACT, name


def test_what_is_far_away_is_not_seen():
    """An output depends on what is within the reach that strips overlap by."""
    rng = np.random.default_rng(0)
    given = rng.integers(-127, 128, (refiner.PLANES, 160, 8)).astype(np.int8)
    other = given.copy()
    other[:, 120:] = rng.integers(-127, 128, other[:, 120:].shape)
    found, changed = (refiner.load().outputs(each) for each in (given, other))
    assert np.array_equal(found[:, : 120 - refiner._REACH], changed[:, : 120 - refiner._REACH])
    assert not np.array_equal(found[:, 119], changed[:, 119])


def test_another_file_is_not_taken(monkeypatch):
    refiner.load.cache_clear()
    monkeypatch.setattr(refiner, "SHA256", "0" * 64)
    with pytest.raises(CheckpointError, match="the format says 0000"):
        refiner.load()
    refiner.load.cache_clear()


def test_a_device_that_computes_otherwise_is_refused(monkeypatch):
    from crayoncodec.painting import pytorch

    assert np.array_equal(
        pytorch.IntegersOnDevice(refiner.load(), "cpu").outputs(np.ones((refiner.PLANES, 8, 8), np.int8)),
        refiner.load().outputs(np.ones((refiner.PLANES, 8, 8), np.int8)),
    )
    monkeypatch.setattr(
        pytorch.IntegerRefiner, "forward", lambda self, x: torch.zeros(1, 8, *x.shape[2:]).int()
    )
    with pytest.raises(DeviceError, match="are not those of the CPU"):
        pytorch.IntegersOnDevice(refiner.load(), "cpu")


@pytest.mark.parametrize("refined", [False, True])
def test_the_integers_of_the_day_it_was_written(version, refined):
    """On every machine: of a picture that is made of integers, too."""
    values = (np.arange(70 * 90) * 7919 % 251).reshape(70, 90)
    plane = (values // 4 + np.add.outer(np.arange(70), np.arange(90))).astype(np.uint8)
    samples = (np.arange(2 * 18 * 23) * 104729 % 9973 - 5000).reshape(2, 18, 23).astype(np.int16)
    found = painted(plane, samples, 4, refiner.load() if refined else None)
    digest = hashlib.sha256(found.astype("<i4").tobytes()).hexdigest()
    assert digest == (REFINED if refined else GUIDED)


GUIDED = "f7d1bdf8e8bfd04c7f0c3163c19f2bbd3243040d3b49cf8bf6b51525e1b18ec5"
REFINED = "7e4596d4eb5913c02ea7551c07696e3a344f1329c4bc2848cb4ab3c306c889ff"
