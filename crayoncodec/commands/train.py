"""``cray train``, ``eval`` and ``export``."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from crayoncodec import errors
from crayoncodec.color.geometry import MAX_SPACING, MIN_SPACING, SAMPLINGS, Sampling
from crayoncodec.commands import lines, options
from crayoncodec.errors import CrayError
from crayoncodec.files import streams
from crayoncodec.machine import process
from crayoncodec.painting import backends


@click.command(epilog="Example: cray train compact steps=20000 --data photos/ --out runs/mine")
@click.argument("recipe", required=False)
@click.argument("overrides", nargs=-1, metavar="[KEY=VALUE]...")
@options.sources
@click.option(
    "--validation",
    multiple=True,
    type=click.Path(exists=True, path_type=Path),
    help="The same, for validation.  [default: one picture in 20 of --data]",
)
@options.without
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), help="Folder of the new run.")
@click.option(
    "--resume", type=click.Path(exists=True, file_okay=False, path_type=Path), help="Go on with a run."
)
@options.device
def train(
    recipe: str | None, overrides: tuple[str, ...], sources: tuple[Path, ...], validation: tuple[Path, ...],
    without: Path | None, out: Path | None, resume: Path | None, device: backends.Device,
) -> None:  # fmt: skip
    """Train a network by a RECIPE (a name or a TOML file), or go on with a run.

    Started by torchrun it trains on several devices. Ctrl-C saves the state and ends.
    """
    with process.uninterrupted():
        from crayoncodec.training import session
        from crayoncodec.training.runs import Run

    if resume is not None:
        if recipe or sources or out:
            raise click.UsageError("--resume goes on with a run as it was begun, expected nothing with it")
    elif not (recipe and sources and out):
        raise click.UsageError("expected RECIPE --data PATH --out RUN, or --resume RUN")
    try:
        if resume is not None:
            run = Run.open(resume)
        else:
            assert recipe is not None
            assert out is not None
            run = session.new_run(out, recipe, overrides, sources, validation, options.names(without))
        done = session.train(run, resume is None, device, lines.say_all)
    except (CrayError, OSError) as error:
        lines.fail("train", error)
    if not done:
        streams.say(f"interrupted; cray train --resume {run.folder} goes on", err=True)
        sys.exit(errors.EXIT_INTERRUPTED)


@click.command("eval", epilog="Example: cray eval compact --data kodak/ -n 10 -n 20")
@click.argument("model")
@options.sources
@click.option(
    "-n", "--spacing", "spacings", multiple=True, type=click.IntRange(MIN_SPACING, MAX_SPACING),
    default=(6, 15, 20, 40, 50, 60, 80, 100), show_default=True,
    help="Pixels from one sample to the next; may be given several times.",
)  # fmt: skip
@click.option(
    "--sampling", type=click.Choice(SAMPLINGS), default="mean", show_default=True,
    help="Mean of each cell, or the paper's every n-th pixel.",
)  # fmt: skip
@options.without
@options.device
@options.json
def evaluate(
    model: str, sources: tuple[Path, ...], spacings: tuple[int, ...], sampling: Sampling,
    without: Path | None, device: backends.Device, as_json: bool,
) -> None:  # fmt: skip
    """Measure MODEL (a checkpoint or the folder of a run) in the decoder, beside guided upsampling."""
    with process.uninterrupted():
        from crayoncodec.training import session

    if not sources:
        raise click.UsageError("expected --data PATH")
    try:
        report, count = session.evaluated(
            model, sources, spacings, sampling, options.names(without), device, lines.warn
        )
    except (CrayError, OSError) as error:
        lines.fail(model, error)
    if as_json:
        streams.say(lines.json_line({"model": model, "pictures": count, "n": report}))
        return
    streams.say(f"{count} pictures, {sampling} samples")
    for n, by_decoder in report.items():
        for decoder, values in by_decoder.items():
            shown = "  ".join(
                f"{name} {value:8.3f}" if isinstance(value, float) else f"{name} {value}"
                for name, value in values.items()
            )
            streams.say(f"n={n:<4} {decoder:8} {shown}")


@click.command(epilog="Example: cray export runs/mine -o models/mine")
@click.argument("run", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("-o", "--output", required=True, type=click.Path(path_type=Path), help="NAME.safetensors")
@click.option("--version", default="1", show_default=True, help="Of the checkpoint.")
@click.option("--data", default="", help="What it was trained on, in words.  [default: names of its sources]")
@click.option("--license", default="Apache-2.0", show_default=True, help="Of the weights, as SPDX names it.")
@click.option(
    "--measured-on", multiple=True, type=click.Path(exists=True, path_type=Path),
    help="Folder of pictures or tar pack to decode with it, for the card.",
)  # fmt: skip
def export(
    run: Path, output: Path, version: str, data: str, license: str, measured_on: tuple[Path, ...]
) -> None:  # fmt: skip
    """Write the weights of a RUN as a checkpoint (float16) with its card."""
    with process.uninterrupted():
        from crayoncodec.training import export as exporting
        from crayoncodec.training.runs import Run

    try:
        card = exporting.export(
            Run.open(run), output, version=version, data=data, license=license, measured_on=measured_on
        )
    except (CrayError, OSError) as error:
        lines.fail(str(run), error)
    streams.say(f"{card.name}: {card.parameters:,} parameters, {card.macs_per_pixel:,} MAC/pixel")
