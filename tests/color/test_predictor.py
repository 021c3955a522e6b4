"""The network in the loop: the same integers whatever computes them."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest
import torch
from pictures import planes

from crayoncodec import CheckpointError
from crayoncodec.color import layers, predictor
from crayoncodec.color.features import FEATURES, KNOWN
from crayoncodec.color.grid import reduce_to_cells
from crayoncodec.format import nested as codestream
from crayoncodec.machine.process import models_folder
from crayoncodec.networks.in_loop import IntegerPredictor
from crayoncodec.networks.in_loop import Predictor as Trained


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
                largest = np.full(layer.weights.shape[1], layers.TOP)
                assert layer.largest_sum(largest) < layers.EXACT, name

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
        layer = layers.Layer(weights, bias, shift)
        found = layers.convolve(*layers.folded(layer, dtype), values)
        assert found.dtype == dtype
        assert np.array_equal(found, sums >> shift[:, None, None])

    def test_a_machine_that_rounds_falls_back_to_float64(self, monkeypatch):
        """Nothing that is coded changes."""
        monkeypatch.setattr("crayoncodec.machine.kernels.version", lambda: None)
        plane, ab = planes(60, 70)
        cells = reduce_to_cells(ab, 4, "mean")
        expected = codestream.encode(cells, plane, 4, 2000)
        monkeypatch.setattr(layers, "float32_is_exact", lambda: False)
        parts = [
            predictor.Predictor(part.layers)
            for part in (predictor.load(predictor.VERSION).coarse, predictor.load(predictor.VERSION).fine)
        ]
        assert parts[0].convolve("first.0", np.zeros((FEATURES, 2, 2))).dtype == np.float64
        shipped = predictor.Shipped(*parts, predictor.load(predictor.VERSION).frequencies)
        monkeypatch.setattr(predictor, "load", lambda version: shipped)
        found = codestream.encode(cells, plane, 4, 2000)
        assert found.chunks == expected.chunks
        assert np.array_equal(found.samples, expected.samples)

    @pytest.mark.parametrize("spacing", [1, 2, 4, 32])
    def test_torch_gives_the_same_integers(self, spacing, arithmetic):
        rng = np.random.default_rng(spacing)
        arrays = predictor.load(predictor.VERSION).network(spacing)
        tensors = IntegerPredictor(arrays.layers)
        features, known, *own = (
            rng.integers(-127, 128, (count, 19, 123), dtype=np.int8) for count in (FEATURES, KNOWN, 3, 3)
        )
        batch = [torch.from_numpy(array)[None] for array in (features, known, *own)]
        hidden, theirs = arrays.trunk(features), tensors.trunk(batch[0])
        assert np.array_equal(hidden, theirs[0].numpy())
        for half in range(2):
            meant = np.indices(features.shape[1:]).sum(axis=0) % 2 == half
            if half:
                hidden, theirs = arrays.second(hidden, known), tensors.second(theirs, batch[1])
            assert np.array_equal(hidden[:, meant], theirs[0].numpy()[:, meant])
            for plane in range(2):
                ours = arrays.head(half, plane, hidden, *own)
                for one, other in zip(ours, tensors.head(half, plane, theirs, *batch[2:]), strict=True):
                    assert np.array_equal(one[:, meant], other[0].numpy()[:, meant])

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
