"""Suites: what they measure is what the product does."""

from __future__ import annotations

import numpy as np
import pytest
from invoked import invoke
from pictures import photo
from PIL import Image
from torch import nn

import crayoncodec
from benchmarks.measuring import clock, results
from benchmarks.suites import equal, stages, worth
from benchmarks.suites.spacings import bilinear
from crayoncodec.color import cielab
from crayoncodec.color.grid import sample_grid
from crayoncodec.encoding import metrics
from crayoncodec.networks.compact import Compact
from crayoncodec.painting import checkpoints
from crayoncodec.painting.pytorch import TorchBackend
from crayoncodec.painting.recolorize import painter


def test_painting_measures_what_the_decoders_show():
    rgb = photo(48, 64)
    data = crayoncodec.encode(rgb, quality=80, color_quality=50)
    for setting, levels, spacing in (
        ("color_quality=50", None, 4),
        ("color_quality=50 levels=5", 5, 8),
    ):
        codec = "nested, lightness q=80" if levels is None else "nested, levels left out"
        found = worth.measure(codec, setting, rgb)
        assert found["spacing"] == spacing
        for kind in ("guided", "neural"):
            decoded = crayoncodec.decode(data, color=kind, levels=levels, device="cpu")
            assert found[f"ab_mse_{kind}"] == pytest.approx(metrics.compare(rgb, decoded).ab_mse)
    assert worth.measure("one grid", "n=6", rgb)["spacing"] == 6


def test_files_of_equal_quality_are_as_good_as_the_rival():
    found = equal.measure("cray without a network", "AVIF 4:2:0 quality=50", photo(96, 128))
    assert found["psnr_lightness"] >= found["rival_psnr_lightness"]
    assert found["ciede2000_mean"] <= found["rival_ciede2000_mean"]
    assert 0 < found["bytes_interpolated"] <= found["bytes"]


def test_bytes_of_exactly_equal_quality_are_interpolated():
    def size(psnr, ciede):
        return round(np.exp(9 + 0.1 * psnr - 0.5 * ciede)), psnr, ciede

    found = equal.interpolated(size(0.3, -0.02), size(-0.4, -0.01), size(0.29, 0.03))
    assert found == pytest.approx(np.exp(9), rel=1e-4)
    with pytest.raises(ValueError, match="no different"):
        equal.interpolated(size(0.3, -0.02), size(0.3, -0.02), size(0.29, 0.03))


@pytest.mark.parametrize("threshold", [0, 1, 37, 100])
def test_the_least_that_is_good(threshold):
    assert equal._least(lambda quality: quality >= threshold) == threshold


def test_bilinear_meets_the_samples_at_their_pixels():
    ab = np.random.default_rng(0).uniform(-60, 60, (2, 35, 50)).astype(np.float32)
    grid = sample_grid(ab, 10, "point")
    painted = bilinear(grid, (35, 50))
    assert painted.shape == ab.shape
    assert np.allclose(painted[:, 5::10, 5::10], grid.ab()[:, :3], atol=1e-4)


def test_any_checkpoint_is_measured_beside_the_others(photos, tmp_path):
    folder = photos(2, 40, 48)
    network = Compact((4, 4))
    nn.init.normal_(network.head.weight, std=0.05)
    model = tmp_path / "mine.safetensors"
    checkpoints.save(network, model, half=False, version="1", architecture="compact", config=network.config,
                     macs_per_pixel=1, description="", license="")  # fmt: skip
    out = tmp_path / "x.json"
    measure = ("checkpoint", folder, "--out", out, "--model", model, "--name", "mine", "-n", 6, "-n", 10)
    invoke("run", folder, "--out", out, "--suite", "grids", "--codec", "guided, means", "--jobs", 1)
    invoke(*measure)
    found = results.load(out)
    assert found.codecs("grids") == ["guided, means", "mine alone, means", "mine, means"]
    lightness, ab = cielab.rgb_to_lab(photo(40, 48, 0))
    plane = cielab.lightness_to_u8(lightness)
    paint = painter(plane, sample_grid(ab, 10), TorchBackend(network, "cpu"))
    error = np.square(paint((slice(0, 40), slice(0, 48))) - ab).mean()
    values = found.values("grids", "mine, means", "n=10", "ab_mse")
    assert values["0.png"] == pytest.approx(error, rel=1e-3)
    assert found.mean("grids", "mine alone, means", "n=10", "ab_mse") > np.mean(list(values.values()))
    Image.fromarray(photo(40, 48, 7)).save(folder / "2.png")
    assert "is of other pictures than those in" in invoke(*measure, code=1).output


def test_times_come_from_fresh_processes(folder, tmp_path):
    out = tmp_path / "r.json"
    invoke("run", folder, "--out", out, "--suite", "times", "--timed", 1, "--codec", "PNG")
    found = results.load(out)
    for measure in ("encode_s", "decode_s", "peak_mb"):
        assert found.values("times", "PNG", "lossless", measure)["a.png"] > 0


@pytest.mark.parametrize("decoder", ["guided", "network"])
def test_all_of_the_time_is_some_stages(monkeypatch, decoder):
    monkeypatch.setattr(stages, "_REPEATED", 0)
    values = stages.measure(decoder, "quality=80", photo(150, 200))
    network = {"network"} if decoder != "guided" else set()
    for what, names in (("encode", clock.ENCODING), ("decode", clock.DECODING)):
        found = {name.removeprefix(f"{what}: ") for name in values if name.startswith(f"{what}: ")}
        assert found == {*names} - {"network", "RGB"} | (network if what == "decode" else set())
        within = sum(values[f"{what}: {name}"] for name in found)
        assert 0 < within < values[f"{what}_s"]
    assert values["decode_peak_mb"] > 30
