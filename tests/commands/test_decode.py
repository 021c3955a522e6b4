"""``cray decode``: what it prints, writes and exits with."""

from __future__ import annotations

import io
import json
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
from commandline import GUIDED, PHOTO, cray, names, process
from PIL import Image

import crayoncodec
from crayoncodec import codec
from crayoncodec.commands import decode
from crayoncodec.machine.process import models_folder

pytestmark = pytest.mark.usefixtures("folder")


class TestDecode:
    @pytest.mark.parametrize("color", codec.COLORS)
    def test_beside_the_input(self, color):
        cray("decode", "photo.cray", "--color", color, "--device", "cpu", "--overwrite")
        expected = crayoncodec.decode(Path("photo.cray").read_bytes(), color=color)
        assert np.array_equal(np.asarray(Image.open("photo.png").convert("RGB")), expected)

    @pytest.mark.parametrize(("quality", "kind"), [("80", "guided"), ("40", "neural")])
    def test_a_network_is_the_default_where_it_is_worth_it(self, quality, kind):
        cray("encode", "photo.png", "-q", quality, "-o", "q.cray")
        for color in ("auto", "neural", "guided"):
            cray("decode", "q.cray", "-o", f"{color}.png", "--color", color)
        cray("decode", "q.cray", "-o", "default.png")
        default, auto, neural, guided = (
            Path(f"{name}.png").read_bytes() for name in ("default", "auto", "neural", "guided")
        )
        assert default == auto == {"neural": neural, "guided": guided}[kind]
        assert neural != guided

    @pytest.mark.parametrize(
        ("name", "kind"),
        [("a.png", "PNG"), ("a.jpg", "JPEG"), ("a.JPEG", "JPEG"), ("a.webp", "WEBP"), ("a.avif", "AVIF"),
         ("a.tif", "TIFF"), ("a.bmp", "BMP"), ("a.gif", "GIF"), ("a.ppm", "PPM"), ("a", "PNG")],
    )  # fmt: skip
    def test_the_extension_says_the_format(self, name, kind):
        cray(*GUIDED, "photo.cray", "-o", name)
        with Image.open(name) as image:
            assert (image.format, image.size) == (kind, (60, 40))

    def test_extensions_that_are_no_format(self):
        result = cray(*GUIDED, "photo.cray", "-o", "out.txt", code=3)
        assert result.stderr == "cray: photo.cray: extension '.txt' is no format that Pillow writes\n"
        assert not Path("out.txt").exists()

    def test_standard_streams(self):
        result = cray(*GUIDED, "-", stdin=Path("photo.cray").read_bytes())
        assert Image.open(io.BytesIO(result.stdout_bytes)).size == (60, 40)
        assert result.stderr.startswith("- -> -: 60 x 40, ")
        assert cray(*GUIDED, "photo.cray", "-o", "-", "--json").stdout_bytes == result.stdout_bytes

    def test_several_at_a_time(self):
        for name in "abc":
            shutil.copy("photo.cray", f"{name}.cray")
        arguments = [
            "a.cray",
            "damaged.cray",
            "-",
            "b.cray",
            "c.cray",
            "-j",
            "2",
            "--json",
            "--device",
            "cpu",
        ]
        done = process(
            sys.executable, "-m", "crayoncodec", "decode", *arguments, input=Path("photo.cray").read_bytes()
        )
        assert done.returncode == 1
        cray("decode", "photo.cray", "-o", "alone.png")
        expected = Path("alone.png").read_bytes()
        assert done.stdout == expected
        lines = [json.loads(line) for line in done.stderr.splitlines() if line.startswith(b"{")]
        assert [(line["input"], line["code"]) for line in lines] == [
            ("a.cray", 0), ("damaged.cray", 3), ("-", 0), ("b.cray", 0), ("c.cray", 0)
        ]  # fmt: skip
        assert all(Path(f"{name}.png").read_bytes() == expected for name in "abc")

    def test_options_are_named_as_they_are_typed(self):
        error = cray("decode", "photo.cray", "--scale", "1/2", "--color", "neural", code=2).stderr
        assert "--scale does not go with --color neural" in error

    def test_damaged_files(self):
        result = cray(*GUIDED, "damaged.cray", code=3)
        assert "CRC-32" in result.stderr
        assert len(result.stderr.splitlines()) == 1
        Path("empty.cray").write_bytes(b"")
        assert "not a .cray file: empty" in cray(*GUIDED, "empty.cray", code=3).stderr
        cray(*GUIDED, "nonesuch.cray", code=1)
        assert not {"damaged.png", "empty.png", "nonesuch.png"} & {*names()}

    def test_damage_in_the_grid_leaves_the_lightness(self):
        data = bytearray(Path("photo.cray").read_bytes())
        data[data.index(b"GRID") + 10] ^= 1
        Path("photo.cray").write_bytes(data)
        cray(*GUIDED, "photo.cray", "-o", "out.png", code=3)
        assert not Path("out.png").exists()
        result = cray("decode", "--color", "gray", "photo.cray", "-o", "out.png")
        assert result.stderr.startswith("cray: photo.cray: warning: left out: chunk GRID")
        with Image.open("out.png") as image:
            assert image.mode == "L"

    def test_one_bad_input_does_not_stop_the_others(self):
        shutil.copy("photo.cray", "second.cray")
        cray(*GUIDED, "damaged.cray", "second.cray", "photo.cray", "--overwrite", code=1)
        assert Path("second.png").read_bytes() == Path("photo.png").read_bytes()

    @pytest.mark.parametrize("overwrite", [False, True])
    def test_what_was_there_stays_on_failure(self, overwrite):
        Path("damaged.png").write_bytes(b"old")
        cray(*GUIDED, "damaged.cray", *["--overwrite"] * overwrite, code=3 if overwrite else 1)
        assert Path("damaged.png").read_bytes() == b"old"

    def test_a_checkpoint_that_is_missing(self):
        result = cray("decode", "photo.cray", "--model", "nonesuch", "-o", "out.png", code=4)
        assert result.stderr.startswith("cray: photo.cray: no checkpoint 'nonesuch', expected one of compact")
        assert not Path("out.png").exists()

    def test_a_checkpoint_that_is_not_its_cards(self):
        for each in (".json", ".safetensors"):
            shutil.copy(models_folder() / f"compact{each}", "mine" + each)
        decode = ("decode", "grid.cray", "--model", "mine.safetensors", "-o")
        cray(*decode, "good.png")
        changed = Path("mine.safetensors")
        data = bytearray(changed.read_bytes())
        data[-1] ^= 1
        changed.write_bytes(data)
        result = cray(*decode, "out.png", code=4)
        assert "SHA-256" in result.stderr
        assert len(result.stderr.splitlines()) == 1
        assert not Path("out.png").exists()
        assert "SHA-256" in cray("models", "verify", "mine.safetensors", code=4).stderr

    def test_no_network_is_needed_for_guided_gray_and_grey_pictures(self):
        Path("grey.cray").write_bytes(crayoncodec.encode(PHOTO[..., 0]))
        cray("decode", "grey.cray", "--model", "nonesuch")
        for color in ("guided", "gray"):
            cray("decode", "photo.cray", "--color", color, "-o", f"{color}.png")
            error = cray("decode", "photo.cray", "--color", color, "--model", "compact", code=2).stderr
            assert f"--model is for --color neural, found --color {color}" in error

    def test_a_device_that_is_not_there(self, monkeypatch):
        monkeypatch.setattr("torch.cuda.is_available", lambda: False)
        result = cray("decode", "photo.cray", "--color", "neural", "--device", "cuda", "--overwrite", code=2)
        assert result.stderr == "cray: photo.cray: device cuda is not available here, expected auto or cpu\n"
        cray(*GUIDED, "photo.cray", "--device", "cuda", "-o", "out.png")


@pytest.mark.usefixtures("without_torch")
class TestWithoutTorch:
    def test_auto_paints_without_a_network_and_says_so(self):
        done = cray("decode", "grid.cray", "-o", "auto.png")
        assert done.stderr == (
            "cray: grid.cray: warning: colours are painted without a network, which needs torch: "
            "pip install crayoncodec[torch]\n"
        )
        assert cray(*GUIDED, "grid.cray", "-o", "guided.png").stderr == ""
        assert Path("auto.png").read_bytes() == Path("guided.png").read_bytes()

    @pytest.mark.parametrize("how", [("--color", "neural"), ("--model", "compact")], ids=" ".join)
    def test_what_insists_on_a_network_is_told_what_to_install(self, how):
        said = cray("decode", "grid.cray", "-o", "out.png", *how, code=2).stderr
        assert said.startswith(
            "cray: grid.cray: networks need torch, expected pip install crayoncodec[torch]"
        )
        assert said.count("\n") == 1
        assert not Path("out.png").exists()

    def test_batches_are_decoded_anew_when_it_is_there(self, monkeypatch):
        options = {"color": "auto", "model": None, "scale": 1}
        assert decode.networks(**options) == []
        monkeypatch.undo()
        assert decode.networks(**options) == ["compact"]


class TestScale:
    @pytest.mark.parametrize("scale", [1, 2, 4, 8, 16])
    @pytest.mark.parametrize("name", ["photo.cray", "grid.cray"])
    def test_the_picture_is_so_many_times_smaller(self, name, scale):
        line = cray("decode", name, "-o", "out.png", "--scale", f"1/{scale}", "--json").stdout
        expected = crayoncodec.decode(Path(name).read_bytes(), scale=scale)
        assert np.array_equal(np.asarray(Image.open("out.png")), expected)
        assert expected.shape == (-(-40 // scale), -(-60 // scale), 3)
        found = json.loads(line)
        assert (found["width"], found["height"]) == (expected.shape[1], expected.shape[0])

    @pytest.mark.parametrize("scale", ["8", "1/3", "1/32", "2", "0.5", "1/8 ", ""])
    def test_others_are_refused(self, scale):
        error = cray("decode", "photo.cray", "--scale", scale, "-o", "out.png", code=2).stderr
        told = f"'{scale}' is not one of '1/1', '1/2', '1/4', '1/8', '1/16'."
        assert error.splitlines()[-1] == f"Error: Invalid value for '--scale': {told}"

    @pytest.mark.parametrize(
        ("options", "what"),
        [(["--color", "neural"], "--color neural"), (["--model", "nested"], "--model")],
        ids=["color", "model"],
    )
    def test_a_network_does_not_go_with_it(self, options, what):
        error = cray("decode", "photo.cray", "--scale", "1/4", *options, code=2).stderr
        told = f"Error: --scale does not go with {what}: no network paints reduced pictures"
        assert error.splitlines()[-1] == told

    def test_metadata_stay_and_turn_the_picture_where_they_cannot(self):
        exif = Image.Exif()
        exif[0x0112] = 6
        Path("turned.cray").write_bytes(crayoncodec.encode(PHOTO, exif=exif))
        cray("decode", "turned.cray", "-o", "a.png", "--scale", "1/4")
        cray("decode", "turned.cray", "-o", "a.ppm", "--scale", "1/4")
        with Image.open("a.png") as lying, Image.open("a.ppm") as upright:
            assert (lying.size, lying.getexif()[0x0112]) == ((15, 10), 6)
            assert np.array_equal(np.asarray(upright), np.rot90(np.asarray(lying), -1))

    def test_several_at_a_time(self):
        shutil.copy("photo.cray", "second.cray")
        arguments = ["photo.cray", "second.cray", "-j", "2", "--scale", "1/8", "--overwrite"]
        assert process(sys.executable, "-m", "crayoncodec", "decode", *arguments).returncode == 0
        for name in ("photo.png", "second.png"):
            with Image.open(name) as image:
                assert image.size == (8, 5)


class TestThumbnail:
    @pytest.mark.parametrize("scale", [1, 2, 16])
    def test_fits_into_its_size_and_is_png_whatever_its_name(self, scale):
        size = 40 // scale + 1
        cray("thumbnail", "photo.cray", "thumbnail.A1B2C3", size)
        with Image.open("thumbnail.A1B2C3") as image:
            assert image.format == "PNG"
            assert image.size == (size, round(size * 40 / 60))
            whole = Image.fromarray(PHOTO).resize(image.size, Image.Resampling.BOX)
            assert np.abs(np.asarray(image).astype(int) - np.asarray(whole)).mean() < 12

    def test_small_pictures_stay_as_they_are(self):
        cray("thumbnail", "photo.cray", "small.png")
        with Image.open("small.png") as image:
            assert np.array_equal(np.asarray(image), crayoncodec.read("photo.cray", color="guided"))

    def test_is_upright_and_bare(self):
        tags = Image.Exif()
        tags[0x0112] = 6
        crayoncodec.write("turned.cray", PHOTO, exif=tags)
        cray("thumbnail", "turned.cray", "turned.png", 30)
        with Image.open("turned.png") as image:
            assert image.size == (20, 30)
            assert not image.getexif()

    def test_writes_into_what_is_there_but_not_into_its_input(self):
        """File managers read what they opened before: another file in its place would be missed."""
        Path("out.png").write_text("old")
        with Path("out.png").open("rb") as before:
            cray("thumbnail", "photo.cray", "out.png", 16)
            with Image.open(before) as image:
                assert image.size == (16, 11)
        before = Path("photo.cray").read_bytes()
        cray("thumbnail", "photo.cray", "photo.cray", 16, code=2)
        assert Path("photo.cray").read_bytes() == before

    @pytest.mark.parametrize(("name", "code"), [("damaged.cray", 3), ("photo.png", 3), ("none.cray", 1)])
    def test_bad_input_is_one_line(self, name, code):
        refused = cray("thumbnail", name, "out.png", code=code)
        assert refused.stderr.startswith(f"cray: {name}: ")
        assert len(refused.stderr.splitlines()) == 1
        assert not Path("out.png").exists()

    def test_outputs_that_cannot_be_written_are_one_line(self):
        refused = cray("thumbnail", "photo.cray", "none/out.png", code=1)
        assert refused.stderr == "cray: none/out.png: No such file or directory\n"

    @pytest.mark.parametrize("shape", [(1, 3000), (3000, 1), (1, 1)])
    def test_pictures_of_any_shape(self, shape):
        crayoncodec.write("line.cray", np.full((*shape, 3), 99, np.uint8))
        cray("thumbnail", "line.cray", "line.png", 100)
        with Image.open("line.png") as image:
            assert image.size == (min(shape[1], 100), min(shape[0], 100))
