"""Windows of a picture, in batches and where memory is short."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import torch
from pictures import photo

from crayoncodec import CrayWarning, DeviceError
from crayoncodec.color import cielab
from crayoncodec.color.grid import sample_grid
from crayoncodec.painting import backends, checkpoints, guards, pytorch, recolorize
from crayoncodec.painting.pytorch import TorchBackend


class TestBatches:
    def windows(self, *sizes):
        rng = np.random.default_rng(0)
        return [
            {"lightness": rng.random((side, side), np.float32) * 100,
             "cell_lightness": rng.random((side, side), np.float32) * 100,
             "bicubic": rng.normal(0, 9, (2, side, side)).astype(np.float32),
             "base": rng.normal(0, 9, (2, side, side)).astype(np.float32)}
            for side in sizes
        ]  # fmt: skip

    def test_neighbours_of_one_size_go_together(self):
        groups = pytorch._groups(self.windows(16, 16, 16, 16, 32, 16, 48, 48), 3 * 16 * 16)
        assert [[window["lightness"].shape[0] for window in group] for group in groups] == [
            [16, 16, 16], [16], [32], [16], [48], [48],
        ]  # fmt: skip

    def test_batches_give_what_single_windows_do(self):
        network, _ = checkpoints.load("nested")
        single, batched = (TorchBackend(network, "cpu", batch_pixels=pixels) for pixels in (1, 3 * 64 * 64))
        given = self.windows(64, 64, 64, 64, 32, 64, 64)
        for one, other in zip(single.predict(given, 7.0), batched.predict(given, 7.0), strict=True):
            assert np.abs(one - other).max() < 1e-3

    def test_windows_are_asked_for_as_they_are_needed(self):
        asked = []

        def given():
            for number, window in enumerate(self.windows(*[16] * 6)):
                asked.append(number)
                yield window

        network, _ = checkpoints.load("nested")
        painted = TorchBackend(network, "cpu").predict(given(), 7.0)
        next(painted)
        # One is computed while the one before is fetched; the third told that the second batch is full.
        assert asked == [0, 1, 2]
        assert len(list(painted)) == 5

    @pytest.mark.parametrize("precision", ["bfloat16", "float16"])
    def test_halves_are_close(self, precision):
        network, _ = checkpoints.load("nested")
        given = self.windows(64, 64, 64)
        exact = TorchBackend(network, "cpu").predict(given, 7.0)
        halves = TorchBackend(network, "cpu", precision, batch_pixels=2 * 64 * 64).predict(given, 7.0)
        for one, other in zip(exact, halves, strict=True):
            assert other.dtype == np.float32
            assert 0 < np.abs(one - other).mean() < 0.3


@pytest.fixture(scope="module")
def picture():
    lightness, ab = cielab.rgb_to_lab(photo(700, 2000))
    return cielab.lightness_to_u8(lightness), sample_grid(ab, 8)


class Limited:
    """A backend that can paint windows of at most so many pixels; on a device there is a CPU behind it."""

    inputs = ("base",)
    reach = 16
    multiple = 8

    def __init__(self, pixels, cpu=None):
        self.pixels, self.cpu, self.sides = pixels, cpu, []

    def predict(self, windows, coarseness):
        for window in windows:
            self.sides.append(max(window["base"].shape[1:]))
            if window["base"][0].size > self.pixels:
                raise MemoryError("not enough memory on it")
            yield window["base"]

    def on_cpu(self):
        return self.cpu


class TestMemory:
    def test_a_network_that_goes_to_the_cpu_stays_where_it_was_too(self, monkeypatch):
        """Others may be using it, and so do later pictures."""
        used = TorchBackend(checkpoints.load("nested")[0], "cpu")
        assert used.on_cpu() is None
        monkeypatch.setattr(used, "device", torch.device("cuda"))
        other = used.on_cpu()
        assert other.device.type == "cpu"
        for ours, theirs in zip(other.network.parameters(), used.network.parameters(), strict=True):
            assert ours is not theirs
            assert torch.equal(ours, theirs)

    def test_what_torch_cannot_run_is_said_in_one_line(self):
        network, _ = checkpoints.load("nested")
        network.stem = torch.nn.Conv2d(3, 22, 3)
        given = TestBatches().windows(16)
        with pytest.raises(DeviceError, match="backend torch cannot run the network on cpu") as said:
            list(TorchBackend(network, "cpu").predict(given, 7.0))
        assert "\n" not in str(said.value)

    def test_what_is_wrong_with_the_windows_is_not_the_networks(self):
        def windows():
            raise RuntimeError("of the caller")
            yield

        with pytest.raises(RuntimeError, match="of the caller"):
            list(backends.load("compact", device="cpu").predict(windows(), 7.0))

    def run(self, picture, backend):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            try:
                ab = recolorize.predict(*picture, backend)
            except MemoryError:
                ab = None
        assert all(warning.category is CrayWarning for warning in caught)
        return ab, [str(warning.message) for warning in caught]

    def test_smaller_tiles_are_tried_and_it_is_said(self, picture):
        unlimited, said = self.run(picture, Limited(10**9))
        assert said == []
        small, said = self.run(picture, Limited(300 * 300))
        assert said == [f"not enough memory on it, trying tiles of {side} pixels" for side in (896, 448, 256)]
        assert np.abs(small - unlimited).max() < 0.1

    def test_then_the_cpu(self, picture):
        cpu = Limited(10**9)
        painted, said = self.run(picture, Limited(1, cpu))
        assert said[-1] == "not enough memory on it, trying the CPU"
        assert len(said) == 4
        assert max(cpu.sides) > 600
        assert np.array_equal(painted, self.run(picture, cpu)[0])

    def test_then_it_fails(self, picture):
        painted, said = self.run(picture, Limited(1))
        assert painted is None
        assert len(said) == 3

    @pytest.mark.parametrize("shape", [(1, 1), (700, 33), (333, 1000)])
    def test_tiles_cover_the_picture_and_are_of_one_size(self, shape):
        seen = np.zeros(shape, int)
        found = recolorize.equal_tiles(shape, 256, 32, 16)
        for tile in found:
            seen[tile.core] += 1
            for core, window, length in zip(tile.core, tile.window, shape, strict=True):
                assert window.start % 16 == 0
                assert core.start - window.start >= 32 or core.start == window.start == 0
                assert window.stop - core.stop >= 32 or core.stop == window.stop == length
        assert (seen == 1).all()
        sizes = {tuple(-(-(span.stop - span.start) // 16) for span in tile.window) for tile in found}
        assert len(sizes) == 1

    def test_torchs_errors_are_known(self):
        for text in ("DefaultCPUAllocator: can't allocate memory", "CUDA out of memory. Tried to"):
            assert guards.is_out_of_memory(RuntimeError(text))
        assert not guards.is_out_of_memory(RuntimeError("shapes do not fit"))
