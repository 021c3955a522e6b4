"""Thumbnails: upright, in sRGB, small; the gallery's list; what is broken says why."""

from __future__ import annotations

import io

import numpy as np
import pytest
from pictures import curved_profile, photo, saved
from PIL import Image

import crayoncodec
from crayoncodec.view import gallery
from crayoncodec.view.kept import Kept


def opened(data):
    return Image.open(io.BytesIO(data))


@pytest.mark.parametrize("size", [(30, 50), (500, 900), (1300, 700)])
def test_a_thumbnail_is_the_picture_reduced(size):
    picture = photo(*size)
    expected = Image.fromarray(picture)
    expected.thumbnail((gallery.SIDE, gallery.SIDE))
    for data in (crayoncodec.encode(picture, effort=1), saved(Image.fromarray(picture), "JPEG", quality=95)):
        found = opened(gallery.thumbnail(data))
        assert (found.format, found.size) == ("WEBP", expected.size)
        difference = np.asarray(found.convert("RGB")).astype(int) - np.asarray(expected)
        assert np.abs(difference).mean() < 6


def test_it_is_upright_and_in_srgb():
    picture = photo(400, 600)
    exif = Image.Exif()
    exif[0x0112] = 6
    profile = curved_profile(gamma=3.0)
    shown = gallery.thumbnail(saved(Image.fromarray(picture), "JPEG", exif=exif, icc_profile=profile))
    plain = gallery.thumbnail(saved(Image.fromarray(picture), "JPEG"))
    assert opened(shown).size == (213, 320)
    assert not opened(shown).info.get("icc_profile")
    assert np.asarray(opened(shown).convert("L")).mean() < np.asarray(opened(plain).convert("L")).mean() - 10


def test_transparency_is_kept():
    rgba = np.dstack([photo(40, 60), np.tile(np.arange(60, dtype=np.uint8) * 4, (40, 1))])
    for data in (saved(Image.fromarray(rgba)), crayoncodec.encode(rgba, effort=1)):
        assert opened(gallery.thumbnail(data)).mode == "RGBA"


def test_the_gallerys_answers(client, pictures):
    found = client.get("api/files").json()
    assert found["given"] == [str(pictures)]
    files = {file["name"]: file for file in found["files"]}
    assert {*files} == {"photo.png", "photo.cray", "damaged.cray", "broken.jpg"}
    for name in ("photo.png", "photo.cray"):
        answer = client.get(f"api/thumbnails/{files[name]['address']}")
        assert (answer.status_code, answer.headers["content-type"]) == (200, "image/webp")
        assert opened(answer.content).size == (60, 40)
    assert client.get("api/files/0/photo.cray").content == (pictures / "photo.cray").read_bytes()


def test_broken_files_say_why_in_the_line_of_the_command(client, pictures):
    for name in ("damaged.cray", "broken.jpg"):
        answer = client.get(f"api/thumbnails/0/{name}")
        with pytest.raises(crayoncodec.CrayError) as error:
            gallery.thumbnail((pictures / name).read_bytes())
        assert (answer.status_code, answer.json()) == (422, {"error": str(error.value)})
    assert "CRC-32" in client.get("api/thumbnails/0/damaged.cray").json()["error"]


def test_a_thumbnail_is_made_once_until_its_file_changes(asking, tmp_path, monkeypatch):
    made = []
    real = gallery.thumbnail
    monkeypatch.setattr(gallery, "thumbnail", lambda data: made.append(len(data)) or real(data))
    path = tmp_path / "one.png"
    Image.fromarray(photo(20, 30)).save(path)
    client = asking(tmp_path)
    first = [client.get("api/thumbnails/0/one.png").content for _ in range(2)]
    assert len(made) == 1
    Image.fromarray(photo(30, 20)).save(path)
    assert opened(client.get("api/thumbnails/0/one.png").content).size == (20, 30)
    assert first[0] == first[1]
    assert len(made) == 2


def test_what_is_kept_has_a_bound():
    kept = Kept[bytes](10, len)
    for name in "abc":
        kept.put(name, 4 * b".")
    assert (kept.get("a"), kept.get("c"), kept.total) == (None, b"....", 8)
    kept.get("b")
    kept.put("d", b"....")
    assert kept.get("b"), "it was used last"
    assert kept.get("c") is None
    kept.put("b", b".")
    assert kept.total == 5
    assert kept.put("e", 11 * b".") == 11 * b"."
    assert (kept.get("e"), kept.total) == (None, 5)
    assert kept.made("f", lambda: b"..") == kept.made("f", lambda: b"??") == b".."
