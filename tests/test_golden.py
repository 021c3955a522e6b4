"""Files written once decode to the same integers for ever."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest

import crayoncodec

FOLDER = Path(__file__).parent / "golden"
sys.path.insert(0, str(FOLDER))

from independent_decoder import decode  # noqa: E402
from make import CASES, integers  # noqa: E402

NAMES = sorted(path.stem for path in FOLDER.glob("*.cray"))


@pytest.mark.parametrize("name", NAMES)
def test_integers_are_those_of_the_day_it_was_written(name):
    expected = json.loads((FOLDER / f"{name}.json").read_text())
    assert integers((FOLDER / f"{name}.cray").read_bytes()) == expected


def test_every_coder_is_there():
    found = [crayoncodec.info(FOLDER / f"{name}.cray") for name in NAMES]
    assert set(CASES) < set(NAMES)
    assert {info.lightness_coder for info in found} == {"avif", "webp", "zstd"}
    assert {grid.coder for info in found for grid in info.grids} == {"webp", "zstd"}
    assert {grid.sampling for info in found for grid in info.grids} == {"mean", "point"}
    assert any(info.alpha_coder for info in found)
    assert any(not info.grids for info in found)


@pytest.mark.parametrize("name", NAMES)
def test_guided_colours_are_those_of_the_specification_to_a_last_bit(name):
    data = (FOLDER / f"{name}.cray").read_bytes()
    rgb = crayoncodec.decode(data, color="guided")[..., :3]
    assert np.abs(rgb.astype(int) - decode(data).guided_rgb()).max() <= 1
