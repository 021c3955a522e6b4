"""Nested colour grids: what is coded is decoded, exactly, at every size, and damage does no harm."""

from __future__ import annotations

import hashlib
import time
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pictures import photo, planes

import crayoncodec
from crayoncodec import FormatError
from crayoncodec.color import geometry, predictor
from crayoncodec.color.grid import reduce_to_cells
from crayoncodec.color.levels import Stage
from crayoncodec.format import container, decoding, entropy
from crayoncodec.format import nested as codestream


def coded(height, width, spacing=4, step=2000, price=codestream.PRICE):
    plane, ab = planes(height, width)
    return plane, ab, codestream.encode(reduce_to_cells(ab, spacing, "mean"), plane, spacing, step, price)


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

    @pytest.mark.parametrize("count", [1, 2, 3, 20])
    def test_no_byte_less_would_do(self, count):
        rng = np.random.default_rng(count)
        for _ in range(30):
            spreads, symbols = rng.integers(0, 64, count), rng.integers(-9, 10, count)
            coder = entropy.Encoder(self.tables)
            coder.put(symbols, spreads)
            data = coder.finish()
            assert data[-1:] != b"\0"
            cut = int.from_bytes(data[:-1])
            for near in (cut, cut + 1):
                if data and near < 256 ** (len(data) - 1):
                    shorter = near.to_bytes(len(data) - 1)
                    decoder = entropy.Decoder(self.tables, shorter, "test")
                    assert not np.array_equal(decoder.get(spreads), symbols)

    def test_counts_are_of_the_letters_that_are_coded(self, arithmetic, monkeypatch):
        monkeypatch.setattr("crayoncodec.machine.threads._PART", 100)
        rng = np.random.default_rng(1)
        spreads, mask = rng.integers(0, 64, (3, 20, 9), np.uint8), rng.integers(0, 4, (3, 20, 9)) > 0
        symbols = (np.rint(rng.laplace(0, 60, mask.shape)) * mask).astype(np.int16)
        counts = np.zeros((64, 256), np.int64)
        for symbol, spread in zip(symbols[mask], spreads[mask], strict=True):
            counts[spread, symbol + 127 if abs(symbol) <= 127 else 255] += 1
        assert counts[:, 255].sum() > 5
        assert np.array_equal(self.tables.counts(symbols, spreads, mask), counts)

    def test_tables_must_add_up(self):
        with pytest.raises(ValueError, match="do not add up to 16777216"):
            entropy.Tables(predictor.load(predictor.VERSION).frequencies + 1)


class TestOffsets:
    @pytest.mark.parametrize("told", [0, -20, 63])
    @pytest.mark.parametrize("scale", [0, 1, 40, 900])
    def test_no_other_one_takes_less(self, told, scale):
        rng = np.random.default_rng(scale)
        spreads = rng.integers(0, 64, (3, 6, 7), np.uint8)
        mask = rng.integers(0, 3, spreads.shape) > 0
        symbols = (np.rint(rng.laplace(0, scale, spreads.shape)) * mask).astype(np.int16)
        none = np.empty(0)
        tables = TestEntropy.tables
        writer = codestream._Writer(tables, 4)
        writer._told = told
        writer.move(symbols, Stage(4, 1, 0, mask, none, none, spreads))

        def bits(offset):
            moved = (spreads[mask].astype(int) + offset).clip(0, 63)
            return tables.costs(moved, symbols[mask]).sum() + tables.costs(16, np.array(offset - told))

        assert bits(writer.offset) <= min(map(bits, range(-63, 64))) + 1e-2


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
        """Distortion and rate together, as the encoder weighs them near grey."""
        plane, ab = planes(96, 96)
        rng = np.random.default_rng(0)
        cells = reduce_to_cells(ab, 4, "mean") / 50 + rng.normal(0, 1, (2, 24, 24)).astype(np.float32)
        scores = []
        for price in (0, codestream.PRICE):
            grid = codestream.encode(cells, plane, 4, 3000, price)
            bits = 8 * sum(len(chunk.payload) for chunk in grid.chunks)
            errors = np.square(grid.samples / 256 - cells).sum() / (3000 / 256 / 4) ** 2
            scores.append(errors + codestream.PRICE * bits)
        assert scores[1] < scores[0]

    def test_a_bit_costs_more_where_less_is_seen(self):
        cells = np.zeros((2, 8, 8), np.float32)
        cells[:, :, 4:] = np.array([40, -30], np.float32)[:, None, None]  # chroma 50
        prices = codestream._Means(cells, 4).prices(4, 0.1)
        assert prices.shape == (4, 4)
        assert prices[:, :2] == pytest.approx(0.1)
        seen = (1 / (1 + 0.045 * 50) ** 2 + 1 / (1 + 0.015 * 50) ** 2) / 2
        assert prices[:, 2:] == pytest.approx(0.1 * seen**-0.75, rel=1e-4)

    def test_large_levels_get_chunks_of_their_own(self):
        plane, _, grid = coded(150, 200, 1, 60, 0)
        assert len(grid.chunks) > 2
        before = np.cumsum([0, *(chunk.levels for chunk in grid.chunks[:-1])])
        assert [chunk.spacing for chunk in grid.chunks] == (128 >> before).tolist()
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

    @pytest.mark.parametrize("version", [0, 1, 2, 3, 255])
    def test_another_network(self, version):
        """1 to 3 were never released."""
        plane, _, grid = coded(20, 20)
        assert {chunk.network for chunk in grid.chunks} == {4}
        chunks = [replace(grid.chunks[0], network=version)]
        with pytest.raises(FormatError, match=f"network {version}, this crayoncodec has 4$"):
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
    for step in 44 * (1, 800, 65535):
        payload = bytes([*rng.integers(0, 64, 3).tolist(), *rng.bytes(int(rng.integers(400)))])
        try:
            samples, _ = codestream.decode([replace(chunk, payload=payload, step=step)], plane)
        except FormatError:
            continue
        digest.update(samples.astype("<i2").tobytes())
        decoded += 1
    assert decoded > 60
    assert digest.hexdigest() == "97743e98600404166c79d4e4613ef6eb9781127eadff4ec9e0a22a765d692e98"
