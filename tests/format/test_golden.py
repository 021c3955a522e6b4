"""Files written once decode to the same integers for ever."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

import crayoncodec
from crayoncodec.color import predictor
from crayoncodec.format import chunks, container
from crayoncodec.networks.in_loop import IntegerPredictor

FOLDER = Path(__file__).parent / "golden"
sys.path.insert(0, str(FOLDER))

from independent_decoder import decode  # noqa: E402
from make import CASES, DRAWN, NESTED, integers  # noqa: E402
from opencv_network import OpenCv  # noqa: E402

NAMES = sorted(path.stem for path in FOLDER.glob("*.cray"))


@pytest.mark.parametrize("name", NAMES)
def test_integers_are_those_of_the_day_it_was_written(name, arithmetic):
    expected = json.loads((FOLDER / f"{name}.json").read_text())
    assert integers((FOLDER / f"{name}.cray").read_bytes()) == expected


def test_every_coder_is_there():
    found = [crayoncodec.info(FOLDER / f"{name}.cray") for name in NAMES]
    assert {*CASES, *NESTED, *DRAWN} < {*NAMES}
    assert {info.lightness_coder for info in found} == {"avif", "webp", "zstd"}
    assert {grid.coder for info in found for grid in info.grids} == {"webp", "zstd", "nested", "palette"}
    assert {info.grids[-1].n for info in found if len(info.grids) > 1} == {1, 2, 4}
    networks = {
        chunk.network
        for name in NAMES
        for chunk in container.unpack((FOLDER / f"{name}.cray").read_bytes()).grids
        if chunk.coder == chunks.NESTED
    }
    assert networks == {*predictor.SHA256} == {predictor.VERSION}
    assert any(sum(chunk.type == "GRID" for chunk in info.chunks) > 1 for info in found)
    assert {grid.sampling for info in found for grid in info.grids} == {"mean", "point"}
    assert any(info.alpha_coder for info in found)
    assert any(not info.grids for info in found)
    assert {info.painting for info in found} == {None, "refined 1"}


@pytest.mark.parametrize("name", NAMES)
def test_guided_colours_are_those_of_the_specification_to_a_last_bit(name):
    data = (FOLDER / f"{name}.cray").read_bytes()
    rgb = crayoncodec.decode(data, color="guided")[..., :3]
    file = decode(data)
    assert np.abs(rgb.astype(int) - file.guided_rgb()).max() <= (0 if file.nested_step else 1)


@pytest.mark.parametrize("library", ["torch", "opencv"])
@pytest.mark.parametrize("name", [*NESTED, "nested-chunks", "drawn-chunks", "drawn-wide"])
def test_other_libraries_decode_the_same_symbols(name, library, monkeypatch):
    """The networks in the loop on another library: nothing that is decoded changes."""
    data = (FOLDER / f"{name}.cray").read_bytes()
    expected = integers(data)
    shipped = predictor.load(predictor.VERSION)
    networks = Torch if library == "torch" else OpenCv
    parts = [networks(part.layers) for part in (shipped.coarse, shipped.fine)]
    other = predictor.Shipped(*parts, shipped.frequencies)
    monkeypatch.setattr(predictor, "load", lambda version: other)
    assert integers(data) == expected
    assert all(part.calls for part in parts[: 1 if expected["grid"]["spacing"] >= predictor.COARSE else 2])


class Torch:
    """networks.nested.IntegerPredictor for arrays."""

    def __init__(self, layers):
        self.network = IntegerPredictor(layers)
        self.calls = 0

    def __getattr__(self, name):
        method = getattr(self.network, name)

        def call(*arguments):
            self.calls += 1
            given = [
                torch.from_numpy(np.ascontiguousarray(one))[None] if isinstance(one, np.ndarray) else one
                for one in arguments
            ]
            found = method(*given)
            return tuple(one[0].numpy() for one in found) if isinstance(found, tuple) else found[0].numpy()

        return call
