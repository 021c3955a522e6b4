"""The loop of a training that codecs are compared in."""

from __future__ import annotations

import numpy as np
import pytest
from invoked import invoke
from pictures import photo

from benchmarks.codecs import CODECS
from benchmarks.programs import loading


def test_every_codec_has_its_rate(photos):
    lines = invoke("loading", photos(3, 40, 56), "--rounds", 1).stdout.splitlines()
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:6]]
    assert [row[0] for row in rows] == [*loading.LOADED]
    assert all(float(cell) > 0 for row in rows for cell in row[2:])
    assert rows[0][4] == rows[1][5] == "1.00"
    assert lines[-1].startswith("3 pictures, 0 workers; ")


@pytest.mark.parametrize("name", loading.LOADED)
def test_pictures_are_decoded_where_they_are_asked_for(name):
    codec = CODECS[name]
    files = loading.Files(codec, [codec.encode(photo(40, 56, seed), codec.typical) for seed in range(2)])
    assert len(files) == 2
    for seed in range(2):
        assert files[seed].shape == (40, 56, 3)
        assert np.abs(files[seed].astype(int) - photo(40, 56, seed)).mean() < 12
