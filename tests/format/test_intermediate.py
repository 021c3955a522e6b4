"""What comes out on the way from nested-fine.cray to its samples: intermediate.tsv, for authors of decoders.

Both the decoder that was written from docs/format.md and the package give it.
"""

from __future__ import annotations

import itertools
from pathlib import Path

import independent_decoder
import numpy as np
from intermediate import Notes

from crayoncodec.color import levels, predictor
from crayoncodec.format import container, decoding, nested

FOLDER = Path(__file__).parent
FILE = (FOLDER / "golden/nested-fine.cray").read_bytes()
TEXT = (FOLDER.parents[1] / "docs/format.md").read_text()
EXPECTED = (FOLDER / "intermediate.tsv").read_text().splitlines(keepends=True)


def test_of_the_independent_decoder():
    notes = Notes()
    independent_decoder.decode(FILE, note=notes)
    assert notes.lines == EXPECTED


def test_the_example_of_the_text():
    found = {}
    independent_decoder.decode(FILE, note=lambda n, name, values: found.update({(n, name): values}))
    parent, step = found[8, "cells"][0, 0, 1], 485 // 4
    guided, shifts, symbols = (
        found[4, name][which, 0, 1]
        for name, which in (("guided", slice(0, 6, 2)), ("shifts x2", slice(3)), ("symbols x2", slice(3)))
    )
    example = TEXT[TEXT.index("*An example.*") : TEXT.index("**Features.**")]
    for letter, from_guided, shift, symbol in zip("HVD", guided, shifts, symbols, strict=True):
        shifted = shift * step // 16
        assert f"{letter} = {from_guided} + ({shift} x {step}) // 16 + {symbol} x {step} = " in example
        assert f"{symbol * step} = {from_guided + shifted + symbol * step}\n" in example
    h, v, d = guided + shifts * step // 16 + symbols * step
    for halves, child in zip(
        (h + v + d, v - h - d, h - v - d, d - h - v), found[4, "cells"][0, :2, 2:4].ravel(), strict=True
    ):
        assert f"{parent} + ({halves} >> 1) = {child}" in example


def test_of_the_package(monkeypatch, arithmetic):
    """Of guided details and of cells it has some together only with others: they are in what follows."""
    notes, at, spreads = Notes(), [], []
    trunk, second, answered = predictor.Predictor.trunk, predictor.Predictor.second, nested.answered
    moved = nested._moved

    def noted_spreads(given, offset):
        spreads.append(moved(given, offset))
        return spreads[-1]

    def noted_trunk(network, features):
        hidden = trunk(network, features)
        notes(at[-1], "f", features)
        notes(at[-1], "trunk", hidden)
        return hidden

    def noted_second(network, hidden, known):
        hidden = second(network, hidden, known)
        rows, columns = np.indices(hidden.shape[1:])
        notes(at[-1], "second", hidden * ((rows + columns) % 2))
        return hidden

    def noted_stages(networks, cells, given, spacing, finest, steps):
        def network(n):
            at.append(n)
            notes(n, "m", given[n].means)
            return networks(n)

        notes(spacing, "cells", cells)
        return levels.stages(network, cells, given, spacing, finest, steps)

    def noted_answers(walk, answer):
        steps = itertools.cycle(("x1", "y1", "x2", "y2"))

        def noted(stage):
            step, symbols = next(steps), answer(stage)
            notes(stage.spacing, f"shifts {step}", stage.shifts * stage.mask)
            notes(stage.spacing, f"spreads {step}", spreads[-1] * stage.mask)
            notes(stage.spacing, f"symbols {step}", symbols)
            return symbols

        return answered(walk, noted)

    monkeypatch.setattr(predictor.Predictor, "trunk", noted_trunk)
    monkeypatch.setattr(predictor.Predictor, "second", noted_second)
    monkeypatch.setattr(nested, "_moved", noted_spreads)
    monkeypatch.setattr(nested, "stages", noted_stages)
    monkeypatch.setattr(nested, "answered", noted_answers)
    file = container.unpack(FILE)
    decoding.decode_grid(file, decoding.decode_lightness(file))
    first, *others = EXPECTED
    assert notes.lines == [
        first,
        *(line for line in others if line.split("\t")[1] not in ("guided", "cells")),
    ]
