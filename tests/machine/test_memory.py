"""What large pictures may take: bytes a pixel beyond what a small one takes, in the whole process."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from pictures import photo
from PIL import Image

from benchmarks.measuring import clock

MEGAPIXELS = 6
DECODERS = {"guided": ["--color", "guided"], "network": ["--color", "neural", "--device", "cpu"]}


def peak(*arguments):
    """Most megabytes that a command has had."""
    return clock.command(arguments)[1]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("memory")
    tile = photo(250, 300)
    Image.fromarray(tile).save(path / "small.ppm")
    Image.fromarray(np.tile(tile, (8, 10, 1))).save(path / "large.ppm")
    return path


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no /proc/self/status")
def test_memory_grows_slowly_with_the_picture(folder):
    found = {"encode": [peak("encode", folder / f"{name}.ppm") for name in ("small", "large")]}
    for decoder, options in DECODERS.items():
        found[decoder] = [
            peak("decode", folder / f"{name}.cray", "-o", folder / f"{name}-{decoder}.ppm", *options)
            for name in ("small", "large")
        ]
    growth = {what: (large - small) / MEGAPIXELS for what, (small, large) in found.items()}
    # AVIF's encoder alone takes 17 bytes a pixel, a tile of a network some 200.
    assert growth["encode"] < 60
    assert growth["guided"] < 45
    assert growth["network"] < 220
    assert all(value > 3 for value in growth.values())
