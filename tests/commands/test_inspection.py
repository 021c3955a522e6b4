"""``cray info``, ``verify`` and ``compare``: files and pictures looked into."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from commandline import GUIDED, PHOTO, cray
from pictures import curved_profile
from PIL import Image

import crayoncodec
from crayoncodec.encoding.encoder import pixel_step
from crayoncodec.format import chunks

pytestmark = pytest.mark.usefixtures("folder")


class TestInfo:
    def test_json_has_every_field(self):
        line = json.loads(cray("info", "photo.cray", "--json").stdout)
        data = Path("photo.cray").read_bytes()
        assert {key: line[key] for key in ("width", "height", "version", "size")} == {
            "width": 60, "height": 40, "version": "1.0", "size": len(data)
        }  # fmt: skip
        assert [(grid["level"], grid["n"], grid["coder"]) for grid in line["grids"]] == [
            (k, 128 >> k, "nested") for k in range(7)
        ]
        assert [grid["size"] for grid in line["grids"]] == [None] * 6 + [line["chunks"][1]["size"]]
        finest = pixel_step(80) / 2
        assert [grid["step"] for grid in line["grids"]][-3:] == pytest.approx(
            [finest / 4, finest / 2, finest], abs=1 / 256
        )
        assert (line["paper_bound"], line["corrected_bound"]) == (None, None)

    def test_json_of_one_grid(self):
        line = json.loads(cray("info", "grid.cray", "--json").stdout)
        data = Path("grid.cray").read_bytes()
        (grid,) = line["grids"]
        assert grid.pop("size") == line["chunks"][1]["size"]
        coder = grid.pop("coder")
        assert coder in ("zstd", "webp")
        assert grid == {"level": 0, "n": 20, "sampling": "mean", "step": 1.0, "rows": 2, "columns": 3}
        assert [chunk["type"] for chunk in line["chunks"]] == ["HEAD", "GRID", "LGHT", "CEND"]
        assert sum(chunk["size"] for chunk in line["chunks"]) + 8 == len(data)
        assert line["bpp"] == pytest.approx(len(data) / 300)
        assert line["ratio"] == pytest.approx(len(data) / 7200)
        assert line["paper_bound"] == pytest.approx(1 / 3 + 1 / 400)

    def test_text_has_them_too(self):
        text = cray("info", "photo.cray").stdout
        assert "grid 0       n = 128, mean, 1 x 1 samples, step 0.0" in text
        assert "nested, in the chunk of the next" in text
        assert re.search(r"grid 6       n = 2, mean, 30 x 20 samples, step 3.\d+, nested, \d+ bytes", text)
        text = cray("info", "grid.cray").stdout
        for part in (
            "60 x 40", "avif, quality", "n = 20, mean, 3 x 2 samples", "HEAD", "GRID", "LGHT", "CEND", "bpp",
            "of raw", "1/3 + 1/n² = 0.3358",
        ):  # fmt: skip
            assert part in text
        Path("grey.cray").write_bytes(crayoncodec.encode(PHOTO[..., 0], lossless=True, exif=b"II*"))
        text = cray("info", "grey.cray").stdout
        assert "none: grey picture" in text
        assert "webp, exact" in text
        assert "exif" in text

    def test_levels_have_the_bytes_of_their_symbols(self):
        line = json.loads(cray("info", "photo.cray", "--levels", "--json").stdout)
        sizes, (chunk,) = line["level_bytes"], (chunk for chunk in line["chunks"] if chunk["type"] == "GRID")
        assert len(sizes) == len(line["grids"])
        assert sizes[0] > 0  # the next ones are of one cell: nothing differs
        assert min(sizes[4:]) > 0
        # Framing, the coder's last word, and three bytes before the first symbol.
        assert sum(sizes) == pytest.approx(chunk["size"] - chunks.NESTED_FRAMING - 3, abs=8)
        text = cray("info", "photo.cray", "--levels").stdout
        assert f"nested, {sizes[6]:,.1f} bytes of symbols, {chunk['size']:,} bytes" in text
        assert json.loads(cray("info", "grid.cray", "--levels", "--json").stdout)["level_bytes"] == []

    def test_levels_of_a_damaged_file(self):
        assert cray("info", "damaged.cray", "--levels", code=3).stderr.startswith("cray: damaged.cray: ")

    def test_only_headers_are_read(self):
        assert cray("info", "damaged.cray").stdout == cray("info", "photo.cray").stdout

    @pytest.mark.parametrize(("name", "code"), [("photo.png", 3), ("nonesuch", 1), (".", 1)])
    def test_what_is_no_cray_file(self, name, code):
        assert cray("info", name, code=code).stderr.startswith(f"cray: {name}: ")


def test_verify():
    assert cray("verify", "photo.cray").stdout == "photo.cray: ok\n"
    assert cray("verify", "photo.cray", "--quiet").stdout == ""
    mixed = cray("verify", "photo.cray", "damaged.cray", "nonesuch.cray", ".", code=1)
    assert mixed.stdout == "photo.cray: ok\n"
    assert [line.split(": ")[1] for line in mixed.stderr.splitlines()] == [
        "damaged.cray",
        "nonesuch.cray",
        ".",
    ]
    cray("verify", "damaged.cray", code=3)
    cray("verify", "nonesuch.cray", code=1)
    lines = cray("verify", "photo.cray", "damaged.cray", "--json", code=1).stdout.splitlines()
    assert [(line["input"], line["code"], "output" in line) for line in map(json.loads, lines)] == [
        ("photo.cray", 0, False), ("damaged.cray", 3, False)
    ]  # fmt: skip


def test_verify_decodes_what_has_a_true_checksum():
    from crayoncodec.format.chunks import CrayFile, Header, PlaneChunk
    from crayoncodec.format.container import pack

    Path("empty.cray").write_bytes(pack(CrayFile(Header(2, 2, 0), PlaneChunk("webp", b"RIFF"))))
    assert "lightness plane: damaged webp codestream" in cray("verify", "empty.cray", code=3).stderr


class TestCompare:
    def test_all_measures(self):
        cray(*GUIDED, "photo.cray", "-o", "decoded.png")
        line = json.loads(cray("compare", "photo.png", "decoded.png", "--json").stdout)
        keys = [
            "psnr_rgb",
            "psnr_lightness",
            "ab_mse",
            "ciede2000_mean",
            "ciede2000_p95",
            "ciede2000_p99",
            "ab_ssim",
        ]
        assert [*line] == ["first", "second", *keys]
        assert 15 < line["psnr_rgb"] < 60
        text = cray("compare", "photo.png", "decoded.png").stdout
        assert [row.split() for row in text.splitlines()] == [[key, f"{line[key]:.4f}"] for key in keys]

    def test_cray_files_and_equal_pictures(self):
        line = json.loads(cray("compare", "photo.cray", "photo.cray", "--json").stdout)
        assert (line["psnr_rgb"], line["ab_mse"], line["ab_ssim"]) == (None, 0, 1)

    def test_one_pixel(self):
        Image.new("RGB", (1, 1)).save("black.png")
        Image.new("RGB", (1, 1), "white").save("white.png")
        assert json.loads(cray("compare", "black.png", "white.png", "--json").stdout)["psnr_lightness"] == 0

    @pytest.mark.parametrize(("name", "code"), [("damaged.cray", 3), ("nonesuch.png", 1), ("small.png", 1)])
    def test_what_cannot_be_compared(self, name, code):
        Image.new("RGB", (5, 5)).save("small.png")
        result = cray("compare", "photo.png", name, code=code)
        assert result.stderr.startswith(f"cray: {name}: ")
        assert len(result.stderr.splitlines()) == 1

    def test_pictures_of_two_sizes_are_told_without_the_name_of_an_exception(self):
        Image.new("RGB", (5, 5)).save("small.png")
        text = cray("compare", "photo.png", "small.png", code=1).stderr
        assert text.startswith("cray: small.png: pictures are ")

    def test_what_is_shown_is_compared(self):
        exif = Image.Exif()
        exif[0x0112] = 6
        Image.fromarray(PHOTO).save("turned.png", exif=exif, icc_profile=curved_profile(gamma=1.5))
        cray("encode", "turned.png", "-o", "turned.cray")
        cray(*GUIDED, "turned.cray", "-o", "plain.bmp")  # which has neither orientation nor profile
        of_cray, of_bmp = (
            json.loads(cray("compare", "turned.png", name, "--json").stdout)["psnr_rgb"]
            for name in ("turned.cray", "plain.bmp")
        )
        assert of_bmp == pytest.approx(of_cray, abs=3)

    def test_warnings_are_told(self):
        frames = [Image.fromarray(PHOTO), Image.fromarray(PHOTO[::-1])]
        frames[0].save("moving.gif", save_all=True, append_images=frames[1:])
        result = cray("compare", "photo.png", "moving.gif")
        assert result.stderr == "cray: moving.gif: warning: 2 frames, only the first is stored\n"
