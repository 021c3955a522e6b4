"""Codecs at the same bytes: files are no larger, errors are those of the metrics; the answers say so."""

from __future__ import annotations

import json
import shlex

import numpy as np
import pytest
import zstandard
from commandline import PHOTO
from pictures import photo, png
from PIL import Image

import crayoncodec
from crayoncodec.color.cielab import rgb_to_lab
from crayoncodec.encoding import metrics
from crayoncodec.view import answers, comparison


def lines(answer):
    assert answer.status_code == 200
    return [json.loads(line) for line in answer.text.splitlines()]


@pytest.mark.parametrize("name", [*comparison.RIVALS])
def test_a_rival_has_the_largest_file_that_is_not_larger(name):
    picture, sizes = photo(90, 120), {}

    def sized(quality, make):
        data = make()
        sizes[quality] = len(data)
        return data

    smallest = len(comparison.rival(name, picture, 0, 4, sized).data)
    for most in (smallest + 500, smallest + 2000):
        found = comparison.rival(name, picture, most, 4, sized)
        assert smallest < len(found.data) <= most
        assert sizes.get(found.quality + 1, most + 1) > most
        assert found.rgb.shape == picture.shape
    assert comparison.rival(name, picture, 1, 4, sized).quality == 1, "nothing is as small"


@pytest.mark.parametrize(
    ("width", "height", "is_cray", "expected"),
    [(512, 512, False, ("whole",)), (1000, 1000, False, ("whole", "small")),
     (4288, 2848, False, ("small", "centre", "reduced", "whole")),
     (20000, 10000, False, ("small", "centre", "reduced")), (20000, 10000, True, ("reduced",))],
)  # fmt: skip
def test_what_is_worked_on_hangs_on_the_size(width, height, is_cray, expected):
    assert comparison.areas(width, height, is_cray) == expected


@pytest.mark.parametrize("kind", ["png", "cray"])
def test_areas_are_of_the_picture(kind, monkeypatch):
    monkeypatch.setattr(comparison, "WORKED", 60 * 80)
    monkeypatch.setattr(comparison, "_SMALL", 30 * 40)
    picture = photo(120, 160)
    data = png(picture) if kind == "png" else crayoncodec.encode(picture, effort=1)
    whole = comparison.work(data, "whole")
    assert (whole.area, whole.width, whole.height) == ("whole", 160, 120)
    assert np.array_equal(whole.rgb, picture if kind == "png" else crayoncodec.decode(data))
    assert np.array_equal(comparison.work(data, "centre").rgb, whole.rgb[30:90, 40:120])
    small = comparison.work(data, "")
    assert (small.area, small.rgb.shape) == ("small", (30, 40, 3))
    reduced = comparison.work(data, "reduced").rgb
    assert reduced.shape == (60, 80, 3)
    means = whole.rgb.reshape(60, 2, 80, 2, 3).mean((1, 3))
    assert np.abs(reduced - means).mean() < 4


def test_differences_are_ciede2000_and_a_picture_of_it(monkeypatch):
    monkeypatch.setattr(comparison, "_BAND", 7 * 60)
    other = np.clip(PHOTO.astype(int) + 9, 0, 255).astype(np.uint8)
    found = comparison.differences(PHOTO, other)
    assert np.allclose(found, metrics.ciede2000(*rgb_to_lab(PHOTO), *rgb_to_lab(other)), atol=1e-4)
    assert comparison.as_picture(np.float32([[0, 5, 10, 99]])).tolist() == [[0, 127, 255, 255]]


def test_the_answer_is_what_was_measured(client):
    pytest.importorskip("ssimulacra2")
    first, *rest = lines(client.get("api/comparison/0/photo.png?quality=50&effort=1"))
    assert (first["width"], first["height"], first["of"], first["area"]) == (60, 40, [60, 40], "whole")
    original = np.frombuffer(client.get(f"api/pixels/{first['pixels']}").content, np.uint8).reshape(40, 60, 4)
    assert np.array_equal(original[..., :3], PHOTO)
    codecs = {}
    for line in rest:
        codecs.setdefault(line["codec"], {}).update(line)
    assert {*codecs} == {"cray", "AVIF", "WebP", "JPEG"}
    data = crayoncodec.encode(PHOTO, quality=50, effort=1)
    assert codecs["cray"]["bytes"] == len(data)
    for line in codecs.values():
        shown = np.frombuffer(client.get(f"api/pixels/{line['pixels']}").content, np.uint8).reshape(40, 60, 4)
        assert line["ciede2000"] == pytest.approx(
            comparison.differences(PHOTO, shown[..., :3]).mean(), abs=1e-4
        )
        assert line["ssimulacra2"] <= 100
        assert line["bytes"] <= len(data) or line["quality"] == 1
        assert len(client.get(f"api/pixels/{line['difference']}").content) == 4 * 40 * 60


def test_frames_are_unpacked_and_no_others(client):
    frame = zstandard.ZstdCompressor().compress(b"lightness" * 9)
    answer = client.post("api/zstd?size=81", content=frame)
    assert (answer.status_code, answer.content) == (200, b"lightness" * 9)
    for size, data, wrong in (
        (80, frame, "content: zstd frame holds 81 bytes, expected 80"),
        (81, frame[:-4], "content: damaged zstd frame"),
        (2**29 + 1, frame, "size is 536870913, expected 0 to 536870912"),
    ):
        refused = client.post(f"api/zstd?size={size}", content=data)
        assert refused.status_code == 422
        assert refused.json()["error"].startswith(wrong)
    assert client.get("web/vendor/fzstd/index.mjs").content == client.get("web/view/zstd.js").content


def test_what_is_too_large_is_refused_in_the_words_of_the_command_line(client):
    """Pillow looks at a GIF's size itself where its frame is larger than its screen."""
    huge = b"GIF89a" + b"\xff" * 4 + b"\0\0\0" + b",\0\0\x2a\x04" + b"\xff" * 4 + b"\0" + b"\2\2L\1\0;"
    place = client.post("api/uploads", content=huge).json()["address"]
    (line,) = lines(client.get(f"api/comparison/{place}"))
    assert line["error"].startswith("Image size (4364696535 pixels) exceeds limit")


def test_what_is_dropped_is_compared_and_kept_within_a_bound(client, monkeypatch):
    place = client.post("api/uploads", content=png(PHOTO)).json()["address"]
    assert lines(client.get(f"api/comparison/{place}?effort=1"))[0]["of"] == [60, 40]
    monkeypatch.setattr(answers, "UPLOADED", 200)
    refused = client.post("api/uploads", content=bytes(101))
    assert (refused.status_code, refused.json()["error"]) == (
        413,
        "file is too large, the limit is 100 bytes",
    )
    (line,) = lines(client.get("api/comparison/upload/999"))
    assert "not in memory any more" in line["error"]


def test_what_is_wrong_is_a_line(client):
    for name, part in (("damaged.cray", "CRC-32"), ("broken.jpg", "not an image")):
        (line,) = lines(client.get(f"api/comparison/0/{name}"))
        assert part in line["error"]
    answer = client.get("api/comparison/0/photo.png?quality=101")
    assert (answer.status_code, answer.json()["error"]) == (422, "quality is 101, expected 0 to 100")
    for query in ("quality=x", "effort=0", "quality=-1", "effort=%C2%B2"):
        assert client.get(f"api/comparison/0/photo.png?{query}").status_code == 422
    assert client.get("api/pixels/12345").status_code == 404


def test_a_codec_that_cannot_have_it_does_not_end_the_others(asking, tmp_path):
    """WebP ends at 16383 pixels."""
    Image.fromarray(np.tile(PHOTO[:8], (1, 274, 1))).save(tmp_path / "wide.png")
    found = {}
    for line in lines(asking(tmp_path).get("api/comparison/0/wide.png?effort=1")):
        found.setdefault(line.get("codec"), {}).update(line)
    assert "16383" in found["WebP"]["failed"]
    for codec in ("cray", "AVIF", "JPEG"):
        assert found[codec]["ciede2000"] > 0, codec
        assert found[codec]["ssimulacra2"] is None or found[codec]["ssimulacra2"] <= 100


@pytest.mark.parametrize(
    ("address", "status"),
    [
        (f"comparison/0/photo.png?quality={'0' * 5000}", 422),
        ("comparison/0/photo.png?quality=0000000001000", 422),
        ("comparison/0/photo.png?area=none", 422), (f"pixels/{'9' * 5000}", 404), ("pixels/x", 404),
        (f"estimate/{'9' * 5000}", 404), ("estimate/-1", 404), (f"files/{'9' * 5000}/photo.png", 404),
    ],
    ids=lambda value: str(value)[:24],
)  # fmt: skip
def test_strange_questions_have_a_line(client, address, status):
    answer = client.get(f"api/{address}")
    assert answer.status_code == status
    assert "\n" not in answer.json()["error"]


def test_an_estimate_of_a_folder(asking, tmp_path):
    folder = tmp_path / "my photos"
    folder.mkdir()
    for k in range(4):
        Image.fromarray(photo(30, 40, k)).save(folder / f"{k}.png")
    (folder / "broken.png").write_bytes(b"no")
    crayoncodec.write(folder / "one.cray", photo(20, 30), effort=1)
    client = asking(folder)
    first, *samples, last = lines(client.get("api/estimate/0?quality=40&effort=2&count=5"))
    assert first["files"] == 5
    typed = shlex.split(first["line"])
    assert typed == ["cray", "batch", "encode", "-q", "40", "-e", "2", "--", str(folder), "my photos-cray"]
    assert [line["name"] for line in samples] == ["0.png", "1.png", "2.png", "3.png", "broken.png"]
    sizes = [len(crayoncodec.encode(photo(30, 40, k), quality=40, effort=2)) for k in range(4)]
    assert [line["cray"] for line in samples[:4]] == sizes
    assert "not an image" in samples[4]["error"]
    assert last["after"] == sum(sizes)
    assert last["estimate"] == round(first["size"] * last["after"] / last["before"])
    assert client.get("api/estimate/1").status_code == 404
