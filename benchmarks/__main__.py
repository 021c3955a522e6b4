"""``python -m benchmarks COMMAND``: measure a folder of images, and show it."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import click

import crayoncodec
from benchmarks.codecs import RIVALS
from benchmarks.measuring import dataset, results
from benchmarks.measuring.dataset import Dataset
from benchmarks.measuring.results import OtherResults
from benchmarks.programs import archive as archives
from benchmarks.programs import graphics as drawn
from benchmarks.programs import report as reports
from benchmarks.programs import runner
from benchmarks.programs.compare import compared
from benchmarks.programs.sheet import contact_sheet, stored_sheet
from benchmarks.suites import SUITES
from benchmarks.suites.spacings import FIGURE_2, measure_checkpoint
from benchmarks.tables.trained import LEARNT
from crayoncodec import CrayError
from crayoncodec.codec import COLORS
from crayoncodec.color.geometry import SAMPLINGS, Sampling
from crayoncodec.files.atomic import atomic_write
from crayoncodec.painting import checkpoints

_INTERRUPTED = 130
_CODECS = list(dict.fromkeys(codec for suite in SUITES.values() for codec in suite.settings))
_WITH_QUALITY = [codec.name for codec in RIVALS if any("quality" in options for options in codec.files)]
_FOLDER = click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
_WEIGHTS = click.Path(exists=True, dir_okay=False, path_type=Path)
_CROP = click.option(
    "--crop", default=0, type=click.IntRange(0), help="Pixels to cut from each side of every picture."
)
_JOBS = click.option(
    "--jobs", default=2, show_default=True, type=click.IntRange(1), help="Processes, timings excepted."
)
_OUT = click.option(
    "--out", required=True, type=click.Path(dir_okay=False, path_type=Path), help="Results, as JSON."
)


@click.group()
def main() -> None:
    """Measure crayoncodec and its rivals on a folder of images."""


@main.command(epilog="Example: python -m benchmarks run kodak/ --out benchmarks/results/kodak.json")
@_FOLDER
@_OUT
@click.option(
    "--suite",
    "suites",
    multiple=True,
    type=click.Choice(list(SUITES)),
    help="What to measure; by default everything.",
)
@click.option("--codec", "codecs", multiple=True, type=click.Choice(_CODECS), help="By default all.")
@_CROP
@_JOBS
@click.option(
    "--timed", default=3, show_default=True, type=click.IntRange(1), help="Pictures that are timed."
)
def run(
    folder: Path,
    out: Path,
    suites: tuple[str, ...],
    codecs: tuple[str, ...],
    crop: int,
    jobs: int,
    timed: int,
) -> None:
    """Measure every image below FOLDER.

    What OUT already has is not measured again; a run that was interrupted goes on. Files that cannot be read,
    codecs whose library is missing and measurements that fail are reported and become holes in the results.
    """
    pictures = Dataset.scan(folder, crop)
    for name, reason in pictures.skipped.items():
        _say(f"{name} is left out: {reason}")
    if not pictures.pictures:
        raise click.UsageError(f"{folder} has no images that can be read")
    try:
        found = runner.run(pictures, out, suites or tuple(SUITES), codecs, jobs, timed, _say)
    except KeyboardInterrupt:
        _say("interrupted; the same command goes on from here")
        sys.exit(_INTERRUPTED)
    for suite in SUITES:
        reasons = {(row.codec, row.reason) for row in found.holes(suite)}
        for codec, reason in sorted(reasons):
            _say(f"not measured: {suite}, {codec}: {reason}")


@main.command(
    epilog="Example: python -m benchmarks study kodak/ --data photos.tar --validation val.tar --runs runs/ "
    "--out benchmarks/results/study.json"
)
@_FOLDER
@click.option(
    "--data",
    multiple=True,
    required=True,
    type=click.Path(exists=True, path_type=Path),
    help="A folder or tar pack of pictures to learn from.",
)
@click.option("--validation", multiple=True, required=True, type=click.Path(exists=True, path_type=Path))
@click.option(
    "--runs",
    required=True,
    type=click.Path(file_okay=False, path_type=Path),
    help="Keeps the trainings.",
)
@_OUT
@click.option(
    "--suite",
    default="study",
    show_default=True,
    type=click.Choice(["study", "sizes", "nested-sizes"]),
    help="One thing changed at a time, or several sizes of a network.",
)
@click.option(
    "--steps",
    default=1000,
    show_default=True,
    type=click.IntRange(1),
    help="Of the baseline, or of each size.",
)
def study(
    folder: Path,
    data: tuple[Path, ...],
    validation: tuple[Path, ...],
    runs: Path,
    out: Path,
    suite: str,
    steps: int,
) -> None:
    """Train small networks that differ in one thing, and measure them on FOLDER.

    What OUT already has is not trained again; a run that was interrupted goes on.
    """
    from benchmarks.programs import study as studies

    material = studies.Material(data, validation, runs)
    try:
        studies.run(Dataset.scan(folder), material, out, suite, steps, _say)
    except (CrayError, OtherResults, OSError) as error:
        raise click.ClickException(str(error)) from error
    except KeyboardInterrupt:
        _say("interrupted; the same command goes on from here")
        sys.exit(_INTERRUPTED)


@main.command(
    epilog="Example: python -m benchmarks checkpoint test50/ --model runs/paper.safetensors "
    "--name 'Crayon, a quarter as wide' --sampling point --out benchmarks/results/imagenette-test50.json"
)
@_FOLDER
@click.option("--model", required=True, help="A name, or a path to a .safetensors file.")
@click.option("--name", required=True, help="What the tables call it.")
@click.option("--sampling", default="mean", show_default=True, type=click.Choice(list(SAMPLINGS)))
@click.option(
    "-n", "spacings", multiple=True, default=FIGURE_2, show_default=True, type=click.IntRange(2),
    help="Spacing; may be given several times.",
)  # fmt: skip
@click.option(
    "--out", required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Results of a run on the same folder; rows are added to them.",
)  # fmt: skip
def checkpoint(
    folder: Path, model: str, name: str, sampling: Sampling, spacings: tuple[int, ...], out: Path
) -> None:
    """Measure any network in the suite grids: alone, and in the decoder."""
    try:
        found = results.load(out)
        pictures = Dataset.scan(folder, found.dataset["crop"])
        found.check_pictures(pictures, out)
        measure_checkpoint(found, pictures, model, name, spacings, sampling)
    except (CrayError, OtherResults) as error:
        raise click.ClickException(str(error)) from error
    results.save(found, out)


@main.command(
    epilog="Example: python -m benchmarks learnt sets/ --name 'network 2' --pictures 192000 397848 "
    "--predictor predictor-2.safetensors --out training.json"
)
@_FOLDER
@click.option("--name", required=True, help="What the tables call it.")
@click.option(
    "--pictures", required=True, type=(click.IntRange(1), click.IntRange(1)), metavar="LOOP BEHIND",
    help="That the networks in the loop, and the one behind them, learnt from.",
)  # fmt: skip
@click.option("--predictor", type=_WEIGHTS, help="Networks in the loop, by default those that ship.")
@click.option("--refiner", type=_WEIGHTS, help="The network behind them, likewise.")
@_CROP
@_JOBS
@_OUT
def learnt(
    folder: Path, name: str, pictures: tuple[int, int], predictor: Path | None, refiner: Path | None,
    crop: int, jobs: int, out: Path,
) -> None:  # fmt: skip
    """Measure any weights of nested grids' networks, as the suite colors does, beside AVIF tune=psnr.

    Each folder within FOLDER is a set of pictures of its own. Rows are added to those of OUT.
    """
    from benchmarks.programs.learnt import Weights, measure

    weights = Weights.of(predictor, refiner)
    facts = dict(zip(LEARNT.values(), map(str, pictures), strict=True))
    try:
        measure(Dataset.scan(folder, crop), weights, name, facts, out, jobs, _say)
    except (CrayError, OtherResults, OSError) as error:
        raise click.ClickException(str(error)) from error


@main.command(epilog="Example: python -m benchmarks report benchmarks/results/kodak.json")
@click.argument("files", nargs=-1, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "--out",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="A folder that gets a page NAME.md for each NAME.json, and its plots as SVG and PNG.",
)
@click.option(
    "--into", multiple=True, type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A Markdown document whose marked tables are made anew from benchmarks/results.",
)  # fmt: skip
def report(files: tuple[Path, ...], out: Path | None, into: tuple[Path, ...]) -> None:
    """Print FILES as Markdown, or write pages with plots; bring the tables of documents up to date."""
    for path in files:
        try:
            found = results.load(path)
        except OtherResults as error:
            _say(str(error))
            continue
        if out is None:
            click.echo(reports.page(found, path.stem, []))
        else:
            reports.write(found, out / path.stem)
    for path in into:
        path.write_text(reports.filled(path.read_text(encoding="utf-8")), encoding="utf-8")


@main.command(epilog="Example: python -m benchmarks compare before.json after.json")
@click.argument("first", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.argument("second", type=click.Path(exists=True, dir_okay=False, path_type=Path))
def compare(first: Path, second: Path) -> None:
    """Print what differs between two results, as a Markdown table."""
    try:
        click.echo(compared(results.load(first), results.load(second)))
    except OtherResults as error:
        raise click.UsageError(str(error)) from error


@main.command(epilog="Example: python -m benchmarks graphics graphics/")
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path))
def graphics(folder: Path) -> None:
    """Write drawn pictures (shapes, text, ramps) to FOLDER, to measure them like any others."""
    drawn.write(folder)


@main.command(epilog="Example: python -m benchmarks sheet photo.png --out sheet.png")
@click.argument("picture", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--out", required=True, type=click.Path(dir_okay=False, path_type=Path))
@click.option("--model", default=checkpoints.DEFAULT, show_default=True)
@click.option(
    "--stored", type=click.Choice(SUITES["samples"].settings["nested grids, guided"]),
    help="Instead: its colour stored in the ways of the suite samples, each in about as many bytes.",
)  # fmt: skip
def sheet(picture: Path, out: Path, model: str, stored: str | None) -> None:
    """Draw one picture over the spacings of the paper's Figure 2, decoded with a network."""
    try:
        rgb = dataset.read(picture.parent, picture.name, 0)
    except (CrayError, OSError) as error:
        raise click.ClickException(f"{picture}: {error}") from error
    if stored is not None:
        stored_sheet(rgb, stored).save(out)
        return
    contact_sheet(rgb, crayoncodec.Decoder(color="neural", model=model)).save(out)


@main.command(epilog="Example: python -m benchmarks portrait --out docs/portrait.webp")
@click.option("--out", required=True, type=click.Path(dir_okay=False, path_type=Path))
@click.option(
    "--rival",
    "rivals",
    multiple=True,
    type=click.Choice(_WITH_QUALITY),
    help="By default JPEG and AVIF 4:2:0.",
)
def portrait(out: Path, rivals: tuple[str, ...]) -> None:
    """Draw README's picture: cuts of a photograph from files of as many bytes. Needs scikit-image."""
    from benchmarks.programs import portrait as portraits

    portraits.portrait(rivals or portraits.RIVALS).save(out, lossless=True)


@main.command(epilog="Example: python -m benchmarks archive kodak/ --out archive.json")
@click.argument("pictures", type=click.Path(exists=True, file_okay=False, path_type=Path))
@_OUT
@click.option("--part", "parts", multiple=True, type=click.Choice(archives.PARTS), help="By default all.")
@click.option(
    "--engine", "engines", multiple=True, type=click.Choice(archives.ENGINES), help="By default both."
)
@click.option("--small", default=2000, show_default=True, type=click.IntRange(1), help="Of 320 x 320 pixels.")
@click.option("--large", default=50, show_default=True, type=click.IntRange(1), help="Of 12 megapixels.")
@click.option(
    "--killed", default=10_000, show_default=True, type=click.IntRange(10), help="Of 16 x 16 pixels."
)
@click.option(
    "--color", default="neural", show_default=True, type=click.Choice(COLORS), help="To decode with."
)
def archive(
    pictures: Path, out: Path, parts: tuple[str, ...], engines: tuple[str, ...], small: int, large: int,
    killed: int, color: str,
) -> None:  # fmt: skip
    """Time ``cray batch`` on archives made of PICTURES, and kill it to see what is left."""
    plan = archives.Plan(
        parts or archives.PARTS, engines or archives.ENGINES, small, large, killed, ("--color", color)
    )
    try:
        found = archives.measure(pictures, plan, _say)
    except RuntimeError as error:
        raise click.ClickException(str(error)) from error
    with atomic_write(out) as stream:
        stream.write((json.dumps(found, indent=1) + "\n").encode())


@main.command(epilog="Example: python -m benchmarks loading photos/ --workers 2")
@_FOLDER
@click.option("--workers", default=0, show_default=True, type=click.IntRange(0), help="Of the DataLoader.")
@click.option("--rounds", default=5, show_default=True, type=click.IntRange(1), help="The fastest counts.")
def loading(folder: Path, workers: int, rounds: int) -> None:
    """Pictures a second in the loop of a training, for JPEG, AVIF and cray. Needs torch."""
    from benchmarks.programs import loading as loads

    click.echo(loads.measure(folder, workers, rounds, _say))


def _say(line: str) -> None:
    click.echo(line, err=True)


if __name__ == "__main__":
    main()
