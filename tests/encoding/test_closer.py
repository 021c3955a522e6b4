"""Which painting is closer, said in the file, heard by decoders."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from pictures import photo

import crayoncodec
from crayoncodec.codec import Decoder
from crayoncodec.encoding import closer, encoder
from crayoncodec.format import container, decoding
from crayoncodec.format.chunks import PAINTING_SIZE


def test_what_decoders_do_anyway_is_not_said(monkeypatch):
    for said, closest in ((None, True), ("guided", False)):
        monkeypatch.setattr(closer, "network_is", lambda *_, closest=closest: closest)
        assert crayoncodec.info(crayoncodec.encode(photo(40, 56), quality=30)).painting == said
    for said, closest in (("refined 1", True), (None, False)):
        monkeypatch.setattr(closer, "network_is", lambda *_, closest=closest: closest)
        assert crayoncodec.info(crayoncodec.encode(photo(40, 56), quality=80)).painting == said


@pytest.mark.parametrize(("quality", "closest"), [(30, False), (80, True)])
def test_decoders_do_as_it_says(monkeypatch, quality, closest):
    monkeypatch.setattr(closer, "network_is", lambda *_: closest)
    data = crayoncodec.encode(photo(40, 56), quality=quality)
    guided, neural = (crayoncodec.decode(data, color=color) for color in ("guided", "neural"))
    assert not np.array_equal(guided, neural)
    assert np.array_equal(crayoncodec.decode(data), neural if closest else guided)
    silent = container.pack(replace(container.unpack(data), painting=None))
    assert len(silent) == len(data) - PAINTING_SIZE
    assert np.array_equal(crayoncodec.decode(silent), guided if closest else neural)
    # It is said of all levels, not of fewer.
    fewer = Decoder(levels=5)
    assert np.array_equal(fewer.decode(data), fewer.decode(silent))


def test_the_closer_one_is_found():
    """Of guided details and the network, whichever is drawn into the picture."""
    image = photo(96, 128)
    data = crayoncodec.encode(image, quality=60)
    file = container.unpack(data)
    lightness = decoding.decode_lightness(file)
    grid = decoding.decode_grid(file, lightness)
    for color, found in (("guided", False), ("neural", True)):
        drawn = crayoncodec.decode(data, color=color)
        assert closer.network_is(drawn, None, lightness, grid, 0.0) == found
        hidden = np.zeros(lightness.shape, bool)
        assert not closer.network_is(drawn, hidden, lightness, grid, 0.0)
    # A word that costs more than what it brings is not said: decoders do as they would.
    assert closer.network_is(crayoncodec.decode(data, color="guided"), None, lightness, grid, 1e12)


def test_large_pictures_are_looked_at_in_windows(monkeypatch):
    seen = []
    painter = closer.painter
    monkeypatch.setattr(
        closer, "painter", lambda part, *rest: seen.append(part.shape) or painter(part, *rest)
    )
    image = np.tile(photo(64, 64), (20, 30, 1))
    data = crayoncodec.encode(image, quality=30)
    assert set(seen) == {(256, 256)}
    assert len(seen) == 2 * 16
    assert crayoncodec.decode(data).shape == image.shape


@pytest.mark.parametrize("effort", [1, 4])
def test_quick_encoders_say_nothing(monkeypatch, effort):
    monkeypatch.setattr(encoder.closer, "network_is", lambda *_: pytest.fail("looked"))
    assert crayoncodec.info(crayoncodec.encode(photo(40, 40), quality=30, effort=effort)).painting is None


def test_a_file_of_a_size_has_room_for_the_word(monkeypatch):
    monkeypatch.setattr(closer, "network_is", lambda *_: True)
    image = photo(150, 200)
    assert all(len(crayoncodec.encode(image, target_size=size)) <= size for size in (1200, 3001, 9000))
