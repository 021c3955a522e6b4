"""Nested colour grids: what is coded is decoded, exactly, at every size, and damage does no harm."""

from __future__ import annotations

import hashlib
import time
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pictures import photo

import crayoncodec
from crayoncodec import CheckpointError, FormatError
from crayoncodec.color import cielab, features, geometry, levels, predictor
from crayoncodec.color.features import FEATURES, KNOWN
from crayoncodec.color.grid import reduce_to_cells
from crayoncodec.encoding import metrics
from crayoncodec.encoding.encoder import pixel_step
from crayoncodec.format import container, decoding, entropy
from crayoncodec.format import nested as codestream
from crayoncodec.machine.process import models_folder
from crayoncodec.networks.integer import IntegerPredictor
from crayoncodec.networks.integer import Predictor as Trained


def planes(height, width, seed=0):
    """Lightness u8[H,W] and AB f32[2,H,W]."""
    lightness, ab = cielab.rgb_to_lab(photo(height, width, seed))
    return cielab.lightness_to_u8(lightness), ab


def coded(height, width, spacing=4, step=2000, price=codestream.PRICE):
    plane, ab = planes(height, width)
    return plane, ab, codestream.encode(reduce_to_cells(ab, spacing, "mean"), plane, spacing, step, price)


class TestLevels:
    @pytest.mark.parametrize("shape", [(8, 12), (7, 12), (5, 3), (1, 1)])
    def test_children_come_back_from_their_details(self, shape):
        cells = np.random.default_rng(0).integers(-9999, 9999, (2, *shape))
        parents = (sum(features.blocks(cells)) // 4)[..., :, :]
        again = features.children(parents, features.details(cells) >> 1)[..., : shape[0], : shape[1]]
        assert np.abs(again - cells).max() <= 3

    @pytest.mark.parametrize("shape", [(64, 128), (65, 127), (3, 200)])
    def test_pyramid(self, shape):
        plane = np.random.default_rng(1).integers(0, 256, (1, *shape))
        levels = features.pyramid(plane, 128)
        assert sorted(levels) == [1, 2, 4, 8, 16, 32, 64, 128]
        assert np.array_equal(levels[1].means, 64 * plane)
        assert not levels[1].ranges.any()
        for n, (means, ranges) in levels.items():
            assert means.shape == ranges.shape == (1, *geometry.grid_shape(*shape, n))
        cell = plane[0, :32, :32]
        if shape[0] >= 32:
            assert levels[32].means[0, 0, 0] == round(64 * cell.mean())
            assert levels[32].ranges[0, 0, 0] == np.ptp(cell)

    def test_guided_details_follow_the_lightness(self):
        """Where colour is a linear function of lightness, its details are predicted."""
        light = np.random.default_rng(2).integers(0, 256, (1, 64, 64))
        light = np.repeat(np.repeat(light[:, ::8, ::8], 8, 1), 8, 2)
        levels = features.pyramid(light, 8)
        cells = {n: np.concatenate([levels[n].means, -levels[n].means]) for n in (4, 8)}
        for parents, n in ((cells[8], 8),):
            guided, bicubic = features.guided_details(parents, levels[n], levels[n // 2])
            truth = features.details(cells[n // 2]) >> 1
            assert np.abs(guided - truth).mean() < np.abs(bicubic - truth).mean() / 4 + 1

    def test_steps_are_shared_out_by_area(self):
        assert levels.step_of(25600, 4) == (6400, 8 * 12 + 5 - 64)
        assert levels.step_of(3, 128) == (1, -64)
        for step in (1, 2, 255, 256, 257, 65535):
            assert levels.step_of(step, 1) == (step, int(np.floor(8 * np.log2(step) + 1e-9)) - 64)


class TestNetwork:
    def test_is_the_formats(self):
        (path,) = models_folder().glob("predictor-*.safetensors")
        assert path.name == f"predictor-{predictor.VERSION}.safetensors"
        data = path.read_bytes()
        assert len(data) <= 300_000
        assert hashlib.sha256(data).hexdigest() == predictor.SHA256[predictor.VERSION]

    def test_another_file_is_not_taken(self, monkeypatch):
        predictor.load.cache_clear()
        monkeypatch.setitem(predictor.SHA256, predictor.VERSION, "0" * 64)
        with pytest.raises(CheckpointError, match="the format says 0000"):
            predictor.load(predictor.VERSION)
        predictor.load.cache_clear()

    def test_sums_are_exact_in_float32(self):
        shipped = predictor.load(predictor.VERSION)
        for part in (shipped.coarse, shipped.fine):
            for name, layer in part.layers.items():
                largest = np.full(layer.weights.shape[1], predictor.TOP)
                assert layer.largest_sum(largest) < predictor.EXACT, name

    @pytest.mark.parametrize("dtype", [np.float32, np.float64])
    @pytest.mark.parametrize("side", [1, 3])
    @pytest.mark.parametrize(
        "shape", [(40, 131), (1, 1), (1, 9000), (9000, 1), (2, 4096), (3, 4095), (5000, 2)]
    )
    def test_convolutions_are_those_of_integers(self, shape, side, dtype):
        rng = np.random.default_rng(side)
        weights = rng.integers(-127, 128, (5, 7, side, side)).astype(np.int8)
        bias, shift = rng.integers(-(2**20), 2**20, 5).astype(np.int32), np.array([0, 3, 8, 11, 16], np.uint8)
        (height, width), values = shape, rng.integers(-127, 256, (7, *shape))
        wide = np.pad(values, ((0, 0), (side // 2,) * 2, (side // 2,) * 2))
        sums = bias[:, None, None] + sum(
            np.einsum(
                "oi,ihw->ohw",
                weights[:, :, y, x].astype(np.int64),
                wide[:, y : y + height, x : x + width],
            )
            for y in range(side)
            for x in range(side)
        )
        layer = predictor.Layer(weights, bias, shift)
        found = predictor.convolve(*predictor.folded(layer, dtype), values)
        assert found.dtype == dtype
        assert np.array_equal(found, sums >> shift[:, None, None])

    def test_a_machine_that_rounds_falls_back_to_float64(self, monkeypatch):
        """Nothing that is coded changes."""
        plane, ab = planes(60, 70)
        cells = reduce_to_cells(ab, 4, "mean")
        expected = codestream.encode(cells, plane, 4, 2000)
        monkeypatch.setattr(predictor, "float32_is_exact", lambda: False)
        parts = [
            predictor.Predictor(part.layers)
            for part in (predictor.load(predictor.VERSION).coarse, predictor.load(predictor.VERSION).fine)
        ]
        assert parts[0]._convolve("first.0", np.zeros((FEATURES, 2, 2))).dtype == np.float64
        shipped = predictor.Shipped(*parts, predictor.load(predictor.VERSION).frequencies)
        monkeypatch.setattr(predictor, "load", lambda version: shipped)
        found = codestream.encode(cells, plane, 4, 2000)
        assert found.chunks == expected.chunks
        assert np.array_equal(found.samples, expected.samples)

    @pytest.mark.parametrize("spacing", [1, 2, 4, 32])
    def test_torch_gives_the_same_integers(self, spacing):
        rng = np.random.default_rng(spacing)
        arrays = predictor.load(predictor.VERSION).network(spacing)
        tensors = IntegerPredictor(arrays.layers)
        features = rng.integers(-127, 128, (FEATURES, 19, 23))
        known, own = (
            rng.integers(-127, 128, (KNOWN, 19, 23)),
            rng.integers(-127, 128, (2, 3, 19, 23)),
        )
        batch = [torch.from_numpy(array)[None] for array in (features, known, *own)]
        hidden, theirs = arrays.trunk(features), tensors.trunk(batch[0])
        for half in range(2):
            if half:
                hidden, theirs = arrays.second(hidden, known), tensors.second(theirs, batch[1])
            assert np.array_equal(hidden, theirs[0].numpy())
            for plane in range(2):
                ours = arrays.head(half, plane, hidden, *own)
                for one, other in zip(ours, tensors.head(half, plane, theirs, *batch[2:]), strict=True):
                    assert np.array_equal(one, other[0].numpy())

    def test_training_becomes_the_integers(self):
        """The network that trains, rounding as the integers do, gives nearly what they give."""
        torch.manual_seed(0)
        network = Trained(width=8, depth=2, later=1, between=8)
        for parameter in network.parameters():
            torch.nn.init.normal_(parameter, std=0.2)
        network.rounds = True
        exact = predictor.Predictor(network.layers())
        rng = np.random.default_rng(0)
        features, own = (
            rng.integers(-127, 128, (FEATURES, 9, 8)),
            rng.integers(-60, 60, (2, 3, 9, 8)),
        )
        with torch.no_grad():
            hidden = network.trunk(torch.from_numpy(features)[None])
            shifts, spreads = network.head(0, 1, hidden, *(torch.from_numpy(part)[None] for part in own))
        whole = exact.trunk(features)
        assert np.abs(32 * hidden[0].numpy() - whole).max() <= 1
        ours = exact.head(0, 1, whole, *own)
        for one, other in zip(ours, (shifts, spreads), strict=True):
            assert np.abs(one - other[0].numpy()).max() <= 2


class TestEntropy:
    tables = entropy.Tables(predictor.load(predictor.VERSION).frequencies)

    @given(st.lists(st.tuples(st.integers(-32767, 32767), st.integers(0, 63)), max_size=60))
    @settings(deadline=None)
    def test_symbols_come_back(self, pairs):
        symbols, spreads = (np.array([pair[k] for pair in pairs], np.int64) for k in range(2))
        coder = entropy.Encoder(self.tables)
        coder.put(symbols, spreads)
        coder.put(symbols[::-1], spreads)
        decoder = entropy.Decoder(self.tables, coder.finish(), "test")
        assert np.array_equal(decoder.get(spreads), symbols)
        assert np.array_equal(decoder.get(spreads), symbols[::-1])

    def test_bytes_are_what_the_tables_say(self):
        rng = np.random.default_rng(0)
        spreads = rng.integers(0, 64, 20_000)
        symbols = np.rint(rng.laplace(0, np.exp((spreads - 26) * 0.11))).astype(np.int64)
        coder = entropy.Encoder(self.tables)
        coder.put(symbols, spreads)
        data = coder.finish()
        assert len(data) == pytest.approx(self.tables.costs(spreads, symbols).sum() / 8, rel=1e-3, abs=8)
        assert abs(coder.size() - len(data)) <= 8

    def test_tables_must_add_up(self):
        with pytest.raises(ValueError, match="do not add up to 16777216"):
            entropy.Tables(predictor.load(predictor.VERSION).frequencies + 1)


class TestCodestream:
    @pytest.mark.parametrize("price", [0, codestream.PRICE])
    @pytest.mark.parametrize("spacing", [1, 2, 4, 128, 512])
    @pytest.mark.parametrize("shape", [(1, 1), (1, 150), (129, 2), (77, 140)])
    def test_the_decoder_has_what_the_encoder_has(self, shape, spacing, price):
        plane, ab, grid = coded(*shape, spacing, 900, price)
        samples, found = codestream.decode(grid.chunks, plane)
        assert found == spacing
        assert np.array_equal(samples, grid.samples)
        assert samples.shape == (2, *geometry.grid_shape(*shape, spacing))
        cells = reduce_to_cells(ab, spacing, "mean")
        assert np.abs(samples / 256 - cells).mean() < 900 / 256 / spacing + 0.1

    def test_a_smaller_step_is_nearer(self):
        _, ab, _ = coded(64, 64)
        cells = reduce_to_cells(ab, 4, "mean")
        errors, sizes = [], []
        for step in (100, 1000, 10_000):
            grid = coded(64, 64, 4, step)[2]
            errors.append(np.abs(grid.samples / 256 - cells).mean())
            sizes.append(sum(len(chunk.payload) for chunk in grid.chunks))
        assert sorted(errors) == errors
        assert sorted(sizes, reverse=True) == sizes
        assert errors[0] < 0.1

    def test_a_price_saves_more_than_it_costs(self):
        """Distortion and rate together, as the encoder weighs them."""
        plane, ab = planes(96, 96)
        rng = np.random.default_rng(0)
        cells = reduce_to_cells(ab, 4, "mean") + rng.normal(0, 2, (2, 24, 24)).astype(np.float32)
        scores = []
        for price in (0, codestream.PRICE):
            grid = codestream.encode(cells, plane, 4, 3000, price)
            bits = 8 * sum(len(chunk.payload) for chunk in grid.chunks)
            errors = np.square(grid.samples / 256 - cells).sum() / (3000 / 256 / 4) ** 2
            scores.append(errors + codestream.PRICE * bits)
        assert scores[1] < scores[0]

    def test_large_levels_get_chunks_of_their_own(self):
        plane, _, grid = coded(150, 200, 1, 60, 0)
        assert len(grid.chunks) > 2
        assert [chunk.level for chunk in grid.chunks] == np.cumsum(
            [0, *(chunk.levels for chunk in grid.chunks[:-1])]
        ).tolist()
        assert all(len(chunk.payload) >= 2048 for chunk in grid.chunks[:-1])
        assert np.array_equal(codestream.decode(grid.chunks, plane)[0], grid.samples)

    def test_levels(self):
        plane, ab, grid = coded(200, 150)
        errors = []
        for kept in (1, 3, 6, 7):
            samples, spacing = codestream.decode(grid.chunks, plane, kept)
            assert spacing == max(4, 128 >> (kept - 1))
            errors.append(np.abs(samples / 256 - reduce_to_cells(ab, spacing, "mean")).mean())
        assert np.array_equal(samples, grid.samples)
        # Border cells of the coarsest level are means of cells, not of pixels.
        assert max(errors[1:]) < 2

    def test_a_missing_half_costs_nothing(self):
        """A picture one cell wide has no horizontal details, and a single cell none at all."""
        plane, _, grid = coded(4, 4)
        assert len(grid.chunks[0].payload) <= 12
        assert np.array_equal(codestream.decode(grid.chunks, plane)[0], grid.samples)

    @pytest.mark.parametrize("version", [0, 1, 2, 4, 255])
    def test_another_network(self, version):
        """1 and 2 were never released."""
        plane, _, grid = coded(20, 20)
        assert {chunk.network for chunk in grid.chunks} == {3}
        chunks = [replace(grid.chunks[0], network=version)]
        with pytest.raises(FormatError, match=f"network {version}, this crayoncodec has 3$"):
            codestream.decode(chunks, plane)

    @pytest.mark.parametrize("payload", [b"", b"\0\0", b"\x40\0\0", b"\0\x40\0", b"\0\0\xff123"])
    def test_first_bytes_out_of_range(self, payload):
        plane, _, grid = coded(20, 20)
        with pytest.raises(FormatError, match="turn or spreads"):
            codestream.decode([replace(grid.chunks[0], payload=payload)], plane)


def test_damage_with_a_good_checksum_is_an_error_or_wrong_colours():
    """Fuzzing behind the checksums: never another exception, never without an end."""
    image = photo(90, 120)
    file = container.unpack(crayoncodec.encode(image, color_quality=70))
    plane = decoding.decode_lightness(file)
    rng = np.random.default_rng(0)
    seen = {"error": 0, "wrong": 0}
    start = time.perf_counter()
    for _ in range(150):
        payload = bytearray(file.grids[0].payload)
        kind = rng.integers(3)
        if kind == 0:
            payload = payload[: rng.integers(len(payload))]
        elif kind == 1:
            for _ in range(rng.integers(1, 5)):
                payload[rng.integers(len(payload))] = rng.integers(256)
        else:
            payload = bytearray(rng.bytes(int(rng.integers(0, 400))))
        changes = {"payload": bytes(payload), "step": int(rng.choice([1, file.grids[0].step, 65535]))}
        grids = (replace(file.grids[0], **changes), *file.grids[1:])
        data = container.pack(replace(file, grids=grids))
        try:
            grid = decoding.decode_grid(container.unpack(data), plane)
        except FormatError:
            seen["error"] += 1
        else:
            assert grid is not None
            assert grid.samples.shape == (2, *geometry.grid_shape(90, 120, grid.spacing))
            assert np.abs(grid.ab()).max() <= 128
            seen["wrong"] += 1
    assert min(seen.values()) > 0
    assert time.perf_counter() - start < 60


def test_huge_symbols_decode_as_the_format_says():
    """Arrays are narrow, but nothing overflows; the digest is of arithmetic in 64 bits throughout."""
    rng = np.random.default_rng(0)
    plane = rng.integers(0, 256, (75, 61), np.uint8)
    (chunk,) = codestream.encode(np.zeros((2, 75, 61), np.float32), plane, 1, 800).chunks
    digest, decoded = hashlib.sha256(), 0
    for step in 40 * (1, 800, 65535):
        payload = bytes([*rng.integers(0, 64, 3).tolist(), *rng.bytes(int(rng.integers(400)))])
        try:
            samples, _ = codestream.decode([replace(chunk, payload=payload, step=step)], plane)
        except FormatError:
            continue
        digest.update(samples.astype("<i2").tobytes())
        decoded += 1
    assert decoded > 60
    assert digest.hexdigest() == "723f9622740b95e37b022005994b508b49a77be7e4c656912cb072cb2d956a5e"


class TestQualities:
    def test_better_qualities_are_nearer_and_larger(self):
        image = photo(120, 160)
        found = []
        for quality in (0, 20, 40, 60, 80, 100):
            data = crayoncodec.encode(image, quality=90, color_quality=quality)
            decoded = crayoncodec.decode(data, color="guided")
            found.append((len(data), -metrics.compare(image, decoded).ab_mse))
        assert found == sorted(found)

    def test_steps_fall(self):
        steps = [pixel_step(quality) for quality in range(101)]
        assert steps == sorted(steps, reverse=True)
        assert (steps[0], steps[100]) == (128, 1)

    @pytest.mark.parametrize(("effort", "decoder"), [(6, "guided"), (7, "neural")])
    def test_effort_pays(self, effort, decoder):
        image = photo(120, 160)
        sizes, errors = [], []
        for one in (1, 5, effort):
            data = crayoncodec.encode(image, effort=one, lightness="webp")
            sizes.append(len(data))
            errors.append(metrics.compare(image, crayoncodec.decode(data, color=decoder)).ab_mse)
        assert sizes[1] < sizes[0]
        assert errors[2] < 0.99 * errors[1]
        assert sizes[2] < 1.02 * sizes[1]

    @pytest.mark.parametrize("largest", [2.0, 3.0])
    def test_largest_error(self, largest):
        image = photo(90, 120)
        data = crayoncodec.encode(image, max_delta_e=largest)
        found = metrics.compare(image, crayoncodec.decode(data, color="guided")).ciede2000_p95
        assert found <= largest
        assert len(crayoncodec.encode(image, max_delta_e=12)) < len(data)

    def test_an_error_that_cannot_be_had(self):
        with pytest.warns(crayoncodec.CrayWarning, match=r"no quality brings CIEDE2000 down to 0.001"):
            data = crayoncodec.encode(photo(40, 40), max_delta_e=0.001)
        assert crayoncodec.info(data).lightness_quality == 100

    def test_transparent_pixels_do_not_count(self):
        image = np.dstack([photo(60, 60), np.full((60, 60), 255, np.uint8)])
        image[:30, :, :3] = np.random.default_rng(0).integers(0, 256, (30, 60, 3))
        hidden = image.copy()
        hidden[:30, :, 3] = 0
        sizes = [
            sum(chunk.size for chunk in crayoncodec.info(data).chunks if chunk.type == "GRID")
            for data in (crayoncodec.encode(each, max_delta_e=12) for each in (hidden, image))
        ]
        assert sizes[0] < sizes[1] / 2

    @pytest.mark.parametrize("size", [1200, 3000, 9000])
    def test_target_size(self, size):
        image = photo(150, 200)
        data = crayoncodec.encode(image, target_size=size, exif=b"II*\0")
        assert len(data) <= size
        assert len(data) > 0.9 * size or crayoncodec.info(data).lightness_quality == 100
        assert crayoncodec.info(data).metadata == ("exif",)

    def test_a_target_that_is_too_small(self):
        image = photo(150, 200)
        with pytest.raises(
            crayoncodec.ImageError, match=r"cannot have 150 bytes, expected at least \d+"
        ) as said:
            crayoncodec.encode(image, target_size=150)
        least = int(str(said.value).split()[-1])
        assert len(crayoncodec.encode(image, target_size=least)) == least

    def test_grey_pictures_have_no_colour_to_pay_for(self):
        grey = photo(80, 80)[..., 0]
        for options in ({}, {"max_delta_e": 3.0}, {"target_size": 1500}):
            data = crayoncodec.encode(grey, **options)
            assert crayoncodec.info(data).grids == ()

    def test_levels_of_a_file(self):
        image = photo(150, 200)
        data = crayoncodec.encode(image)
        errors = [
            metrics.compare(image, crayoncodec.decode(data, color="guided", levels=levels)).ab_mse
            for levels in (1, 4, 7)
        ]
        assert errors == sorted(errors, reverse=True)
        with pytest.raises(ValueError, match="levels is 0, expected 1 or more"):
            crayoncodec.decode(data, levels=0)
