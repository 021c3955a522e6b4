"""The paper's experiment from end to end, as a GPU has it: trained, exported, measured, in table and plot."""

from __future__ import annotations

import re

import pytest
from click.testing import CliRunner
from invoked import invoke
from pictures import photo, png
from training_runs import packed

from benchmarks.measuring import results
from benchmarks.tables import plots
from crayoncodec.commands.cray import main
from crayoncodec.painting import checkpoints

BESIDE = ("bilinear, points", "bicubic, points", "guided, points", "compact, points")
SPACINGS = ("6", "15", "20", "40", "50", "60", "80", "100")


def cray(*arguments):
    done = CliRunner().invoke(main, [*map(str, arguments)], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.output


@pytest.mark.parametrize("recipe", ["paper-all", "xiaonet"])
def test_the_whole_of_it_on_twenty_pictures(recipe, photos, tmp_path):
    pack = packed(tmp_path / "train.tar", {f"{k:02}.png": png(photo(48, 48, k)) for k in range(20)})
    others = packed(tmp_path / "validation.tar", {"a.png": png(photo(48, 48, 20))})
    said = cray(
        "train", recipe, "minutes=0.02", "side=48", "crop=48", "batch=9216", "network={width=2}",
        "--device", "cpu", "--data", pack, "--validation", others, "--without", _names(tmp_path),
        "--out", tmp_path / "run",
    )  # fmt: skip
    assert "training: 18 pictures; left out: 2 excluded" in said
    cray("export", tmp_path / "run", "-o", tmp_path / "mine")
    model = tmp_path / "mine.safetensors"
    _, card = checkpoints.load(str(model))
    assert set(card.metrics["validation, AB MSE"]) == set(SPACINGS)
    folder, out = photos(2, 48, 56), tmp_path / "test.json"
    codecs = [part for codec in ("lossless lightness", *BESIDE) for part in ("--codec", codec)]
    invoke("run", folder, "--out", out, "--suite", "grids", "--jobs", 1, *codecs)
    invoke("checkpoint", folder, "--model", model, "--name", recipe, "--sampling", "point", "--out", out)
    invoke("report", out, "--out", tmp_path)
    shown = [*BESIDE, f"{recipe} alone, points", f"{recipe}, points"]
    page = (tmp_path / "test.md").read_text()
    assert f"| {' | '.join(shown)} |" in page
    for n in SPACINGS:
        (row,) = re.findall(rf"^\| {n} \|.*$", page.split("## ")[1], re.MULTILINE)
        assert "—" not in row.split("|", 5)[5]
    (psnr, *_) = plots.FIGURES["figure2"].panels(results.load(out))
    assert set(shown) == set(psnr.lines)
    assert (tmp_path / "test-figure2.svg").exists()


def _names(tmp_path):
    """Two pictures that are left out, as the test pictures of the paper's experiment are."""
    path = tmp_path / "without.txt"
    path.write_text("03.png\n07.png\n")
    return path
