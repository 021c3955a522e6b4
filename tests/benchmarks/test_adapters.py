"""Codecs as adapters."""

from __future__ import annotations

import numpy as np
import pytest
from pictures import photo

from benchmarks.codecs import CODECS
from benchmarks.codecs.adapter import Codec


@pytest.mark.parametrize("codec", CODECS.values(), ids=list(CODECS))
def test_every_codec_gives_a_picture_back_and_has_bytes_for_its_colour(codec: Codec):
    rgb = photo(48, 64)
    options = (codec.files or codec.colors or (codec.typical,))[-1]
    data = codec.encode(rgb, options)
    decoded = codec.decode(data)
    assert codec.versions()
    assert decoded.shape == rgb.shape
    assert 0 < codec.color_bytes(rgb, data, options) < len(data)
    error = np.abs(decoded.astype(int) - rgb)
    assert error.max() == 0 if options == {} else error.mean() < 40
