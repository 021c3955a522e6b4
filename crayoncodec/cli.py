"""The ``cray`` command. Thin: options in, lines out; the work is in codec and jobs."""

from __future__ import annotations

import dataclasses
import io
import json
import logging
import math
import os
import re
import sys
import threading
import time
import warnings
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NoReturn

import click

import crayoncodec
from crayoncodec import backends, codec, jobs, streams
from crayoncodec.batch import commands as batches
from crayoncodec.container import (
    DEFAULT_LIMITS,
    MAX_SPACING,
    MIN_SPACING,
    PLANE_CODERS,
    SAMPLINGS,
    STRIPPABLE,
    Limits,
    Sampling,
)
from crayoncodec.errors import CrayError, CrayWarning
from crayoncodec.information import Info
from crayoncodec.information import info as read_info

if TYPE_CHECKING:
    from crayoncodec.checkpoints import Card
    from crayoncodec.images import Picture

_BAR_DELAY: Final = 1.0

_inputs = click.argument("inputs", nargs=-1, required=True, metavar="IN...")
_output = click.option(
    "-o", "--output", metavar="OUT", help="File, existing directory, or - for standard output."
)
_recursive = click.option(
    "-r", "--recursive", is_flag=True, help="Take directories, and keep their trees under -o."
)
_overwrite = click.option("--overwrite", is_flag=True, help="Replace outputs that exist.")
_workers = click.option(
    "-j",
    "--jobs",
    "workers",
    type=click.IntRange(1),
    default=1,
    show_default=True,
    help="Pictures at a time.",
)
_device = click.option(
    "--device",
    type=click.Choice(backends.DEVICES),
    default="auto",
    show_default=True,
    help="Where the network runs.",
)
_backend = click.option(
    "--backend",
    type=click.Choice(backends.NAMES),
    default="auto",
    show_default=True,
    help="What runs it. auto: torch with CUDA, else openvino, onnx, opencv, the first that is installed.",
)
_precision = click.option(
    "--precision",
    type=click.Choice(backends.PRECISIONS),
    default="auto",
    show_default=True,
    help="What it computes in. auto: float16 with CUDA, else float32.",
)
_strip = click.option(
    "--strip",
    multiple=True,
    type=click.Choice(STRIPPABLE),
    help="Metadata to leave out; may be given several times. Pictures are turned and their colours converted "
    "where that is what it said; gps: positions alone.",
)
_max_pixels = click.option(
    "--max-pixels",
    type=click.IntRange(1),
    default=DEFAULT_LIMITS.pixels,
    show_default=True,
    metavar="N",
    help="Refuse larger pictures.",
)
_json = click.option("--json", "as_json", is_flag=True, help="Print JSON Lines.")
_quiet = click.option("--quiet", is_flag=True, help="Print nothing but warnings and errors.")


class _Cray(click.Group):
    """Prints and ends as it should whatever the standard streams are, and by Ctrl-C."""

    def main(self, *args: Any, **options: Any) -> NoReturn:
        with streams.standard():
            try:
                sys.exit(super().main(*args, **options | {"standalone_mode": False}))
            except click.ClickException as error:
                text = io.StringIO()
                error.show(text)
                for line in text.getvalue().splitlines():
                    streams.say(line, err=True)
                sys.exit(error.exit_code)
            except click.Abort:  # Ctrl-C before any command is begun
                sys.exit(jobs.EXIT_INTERRUPTED)

    def invoke(self, ctx: click.Context) -> Any:
        try:
            try:
                return super().invoke(ctx)
            except Exception as error:
                jobs.give_way(error)
                raise
        except KeyboardInterrupt:
            streams.say("cray: interrupted", err=True)
            sys.exit(jobs.EXIT_INTERRUPTED)
        except MemoryError as error:
            streams.say(f"cray: {jobs.one_line(error)}", err=True)
            sys.exit(jobs.code_of(error))


@click.group(
    cls=_Cray,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Example: cray encode photo.jpg, then cray decode photo.cray",
)
@click.version_option(crayoncodec.__version__, package_name="crayoncodec", prog_name="cray")
def main() -> None:
    """Pictures as a lightness plane and sparse grids of their colours.

    \b
    Exit codes: 0 all done, 1 some inputs failed (the others are done), 2 usage,
    3 corrupt or unsupported file, 4 checkpoint missing or not as its card says,
    130 interrupted.
    """  # noqa: D301  # click's mark of lines to keep
    # What Pillow logs of damaged files would come on top of our one line.
    logging.getLogger("PIL").addHandler(logging.NullHandler())


@main.command(epilog="Example: cray encode photo.jpg -q 80")
@_inputs
@_output
@click.option(
    "-q",
    "--quality",
    type=click.IntRange(0, 100),
    help=f"Of the lightness plane, on its coder's scale.  [default: {codec.DEFAULT_QUALITY}]",
)
@click.option(
    "--color-quality",
    type=click.IntRange(0, 100),
    help="Of the colours.  [default: as -q, which balances them; 90 with --lossless-lightness]",
)
@click.option(
    "--max-delta-e",
    type=click.FloatRange(0, min_open=True),
    metavar="X",
    help="Spend what it takes to keep 95 % of the pixels within CIEDE2000 of X, decoded without a network.",
)
@click.option(
    "--target-size",
    type=click.IntRange(1),
    metavar="BYTES",
    help="Make the best file of at most so many bytes.",
)
@click.option(
    "-n",
    "--spacing",
    "n",
    type=click.IntRange(MIN_SPACING, MAX_SPACING),
    help="Store one uniform colour grid instead: pixels from one sample to the next.",
)
@click.option(
    "--lossless-lightness", "--lossless", "lossless", is_flag=True,
    help="Keep the lightness plane exactly; colours are lossy. --lossless is the old name and goes with the "
    "next release.",
)  # fmt: skip
@click.option(
    "--sampling",
    type=click.Choice(SAMPLINGS),
    default="mean",
    show_default=True,
    help="With -n: mean of each cell, or the paper's every n-th pixel.",
)
@click.option(
    "--lightness",
    type=click.Choice(PLANE_CODERS),
    help="Coder of the lightness plane.  [default: avif, "
    "with --lossless-lightness webp; zstd is the fast lossless one]",
)
@click.option(
    "-e",
    "--effort",
    type=click.IntRange(1, 9),
    default=codec.DEFAULT_EFFORT,
    show_default=True,
    help="From 5 on bits are spent where they count; from 6 on colours are fitted to guided upsampling, from "
    "7 on (with -n at 9) to the default network; from 7 on AVIF takes longer for fewer bytes.",
)
@_strip
@_max_pixels
@_recursive
@_workers
@click.option(
    "--keep-extension", is_flag=True, help="Name outputs like photo.jpg.cray, so that photo.png has its own."
)
@_overwrite
@_json
@_quiet
def encode(
    inputs: tuple[str, ...], output: str | None, quality: int | None, color_quality: int | None,
    max_delta_e: float | None, target_size: int | None, n: int | None, lossless: bool, sampling: str,
    lightness: str | None, effort: int, strip: tuple[str, ...], max_pixels: int, recursive: bool,
    workers: int, keep_extension: bool, overwrite: bool, as_json: bool, quiet: bool,
) -> None:  # fmt: skip
    """Encode pictures (files, directories with -r, or - for standard input) to .cray."""
    convert = _encoder(n=n, quality=quality, color_quality=color_quality, max_delta_e=max_delta_e,
                       target_size=target_size, lossless=lossless, sampling=sampling, lightness=lightness,
                       effort=effort, strip=strip, max_pixels=max_pixels)  # fmt: skip
    planned, left_out = _plan(inputs, output, ".cray", recursive, _is_picture, overwrite, keep_extension)
    _finish(jobs.run(planned, convert, workers), planned, as_json, quiet, left_out)


@main.command(epilog="Example: cray decode photo.cray -o photo.png --color guided")
@_inputs
@_output
@click.option(
    "--color",
    type=click.Choice(codec.COLORS),
    default="auto",
    show_default=True,
    help="Recolorize with a network, without one, or not at all. auto: with one where it is worth it.",
)
@click.option(
    "--model",
    metavar="NAME|PATH",
    help="Checkpoint to recolorize with.  [default: nested; compact for pictures encoded with -n]",
)
@click.option(
    "--levels",
    type=click.IntRange(1),
    metavar="K",
    help="Of nested colours decode only the K coarsest levels.  [default: all]",
)
@click.option(
    "--format",
    "output_format",
    metavar="NAME",
    help="Of outputs whose name does not say it, as standard output's: jpg, webp, ...  [default: png]",
)
@click.option(
    "--output-quality",
    type=click.IntRange(0, 100),
    help="Of JPEG, WebP, AVIF, HEIC, JPEG XL and PDF; colours keep their full resolution where the format "
    "can.  [default: 95]",
)
@_strip
@_max_pixels
@_backend
@_device
@_precision
@_recursive
@_workers
@_overwrite
@_json
@_quiet
def decode(
    inputs: tuple[str, ...], output: str | None, color: codec.Color, model: str | None,
    levels: int | None, output_format: str | None, output_quality: int | None, strip: tuple[str, ...],
    max_pixels: int, backend: backends.Name, device: backends.Device, precision: backends.Precision,
    recursive: bool, workers: int, overwrite: bool, as_json: bool, quiet: bool,
) -> None:  # fmt: skip
    """Decode .cray files to PNG, or to what the output's extension says (anything that Pillow writes)."""
    extension = _extension(output_format)
    convert = _decoder(
        color=color, model=model, backend=backend, device=device, precision=precision, levels=levels,
        strip=strip, output_quality=output_quality, extension=extension, max_pixels=max_pixels,
    )  # fmt: skip
    planned, left_out = _plan(inputs, output, extension, recursive, _is_cray_name, overwrite)
    _finish(jobs.run(planned, convert, workers), planned, as_json, quiet, left_out)


@main.command(epilog="Example: cray info photo.cray --json")
@click.argument("file", type=click.Path())
@click.option(
    "--levels", is_flag=True,
    help="Decode the colours, too, and show the bytes of every level of nested grids.",
)  # fmt: skip
@_max_pixels
@_json
def info(file: str, levels: bool, max_pixels: int, as_json: bool) -> None:
    """Show every header field of a .cray file, its chunks and what its size comes to."""
    try:
        source = jobs.read_input(file) if levels or file == jobs.STREAM else file
        limits = Limits(pixels=max_pixels)
        found = read_info(source, limits)
        sizes = codec.level_sizes(source, limits) if isinstance(source, bytes) and levels else None
    except (CrayError, OSError) as error:
        _fail(file, error)
    if as_json:
        more = {} if sizes is None else {"level_bytes": sizes}
        streams.say(_json_line(dataclasses.asdict(found) | more))
    else:
        for line in _describe(found, sizes or []):
            streams.say(line)


@main.command(epilog="Example: cray verify *.cray")
@click.argument("files", nargs=-1, required=True, type=click.Path())
@_max_pixels
@_json
@_quiet
def verify(files: tuple[str, ...], max_pixels: int, as_json: bool, quiet: bool) -> None:
    """Check all checksums of .cray files and decode everything in them but the recolorization."""
    planned = [jobs.Job(name, "") for name in files]
    _finish((_verify(job, Limits(pixels=max_pixels)) for job in planned), planned, as_json, quiet)


@main.command(epilog="Example: cray compare photo.jpg photo.cray")
@click.argument("first", type=click.Path())
@click.argument("second", type=click.Path())
@_max_pixels
@_json
def compare(first: str, second: str, max_pixels: int, as_json: bool) -> None:
    """Measure how far a picture is from its original; either may be a .cray file, decoded as by default.

    Both are turned upright; where only one has a colour profile, or another one, both are in sRGB.
    """
    from crayoncodec import images, metrics

    pictures = []
    for name in (first, second):
        try:
            with jobs.collected_warnings() as collected:
                pictures.append(images.upright(_read(name, Limits(pixels=max_pixels))))
        except (CrayError, OSError) as error:
            _fail(name, error)
        for warning in collected:
            streams.say(f"cray: {name}: warning: {warning.message}", err=True)
    if len({picture.metadata.get("icc_profile") for picture in pictures}) > 1:
        with jobs.collected_warnings():
            pictures = [images.in_srgb(picture) for picture in pictures]
    try:
        values = dataclasses.asdict(metrics.compare(*(picture.rgb for picture in pictures)))
    except ValueError as error:
        streams.say(f"cray: {second}: {error}", err=True)
        sys.exit(jobs.EXIT_SOME_FAILED)
    if as_json:
        streams.say(_json_line({"first": first, "second": second, **values}))
    else:
        for name, value in values.items():
            streams.say(f"{name:16} {value:.4f}")


@main.group(invoke_without_command=True, epilog="Example: cray models show compact")
@click.pass_context
def models(context: click.Context) -> None:
    """List, show or verify the checkpoints that decoding can use."""
    if context.invoked_subcommand is None:
        context.invoke(models_list)


@models.command("list", epilog="Example: cray models list")
def models_list() -> None:
    """One line for each checkpoint that is installed, or that pip could install."""
    from crayoncodec import checkpoints

    for name in checkpoints.names():
        card = _card(name)
        streams.say(f"{name:12} {card.parameters:>11,} parameters {card.macs_per_pixel:>10,} MAC/pixel  "
                   f"{card.description}")  # fmt: skip
    for name, brought_by in checkpoints.missing().items():
        streams.say(f"{name:12} not installed: pip install {brought_by}")


@models.command("show", epilog="Example: cray models show compact")
@click.argument("name")
def models_show(name: str) -> None:
    """The model card of a checkpoint, as JSON."""
    _say_all(json.dumps(dataclasses.asdict(_card(name)), indent=2))


@models.command("verify", epilog="Example: cray models verify")
@click.argument("names", nargs=-1)
def models_verify(names: tuple[str, ...]) -> None:
    """Check that checkpoints (all, by default) are what their cards say and load."""
    from crayoncodec import checkpoints

    codes = []
    for name in names or checkpoints.names():
        try:
            checkpoints.load(name)
            checkpoints.verify_graphs(name)
        except CrayError as error:
            streams.say(f"cray: {name}: {jobs.one_line(error)}", err=True)
            codes.append(jobs.code_of(error))
        else:
            streams.say(f"{name}: ok")
            codes.append(jobs.EXIT_DONE)
    sys.exit(max(codes, default=jobs.EXIT_DONE))


@main.command(epilog="Example: cray bench --size 12")
@click.option(
    "--size",
    type=click.FloatRange(0.01, 50),
    default=1.0,
    show_default=True,
    help="Megapixels of the picture.",
)
@click.option("--model", default="nested", show_default=True, metavar="NAME|PATH", help="Checkpoint to time.")
@_json
def bench(size: float, model: str, as_json: bool) -> None:
    """Time decoding on this machine with every backend that is installed, and say which to choose."""
    from crayoncodec import timing

    try:
        rows = timing.measure(model, size, lambda line: streams.say(line, err=True))
    except CrayError as error:
        _fail(model, error)
    said = timing.advice(rows)
    if as_json:
        for row in rows:
            streams.say(_json_line(dataclasses.asdict(row)))
        streams.say(_json_line({"advice": said}))
        return
    streams.say(
        f"{'backend':10}{'device':8}{'precision':12}{'load s':>8}{'network s/MP':>14}{'decode s/MP':>13}"
    )
    for row in rows:
        figures = f"{row.load_s:8.2f}{row.network_s_per_mp:14.3f}" if row.precision else " " * 22
        streams.say(
            f"{row.backend:10}{row.device:8}{row.precision or '':12}{figures}{row.decode_s_per_mp:13.3f}"
        )
    streams.say(said)


_sources = click.option(
    "--data",
    "sources",
    multiple=True,
    type=click.Path(exists=True, path_type=Path),
    help="Folder of pictures or tar pack; may be given several times.",
)
_without = click.option(
    "--without",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A file with names of pictures to leave out, one to a line.",
)


@main.command(epilog="Example: cray train compact steps=20000 --data photos/ --out runs/mine")
@click.argument("recipe", required=False)
@click.argument("overrides", nargs=-1, metavar="[KEY=VALUE]...")
@_sources
@click.option(
    "--validation",
    multiple=True,
    type=click.Path(exists=True, path_type=Path),
    help="The same, for validation.  [default: one picture in 20 of --data]",
)
@_without
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), help="Folder of the new run.")
@click.option(
    "--resume", type=click.Path(exists=True, file_okay=False, path_type=Path), help="Go on with a run."
)
@_device
def train(
    recipe: str | None, overrides: tuple[str, ...], sources: tuple[Path, ...], validation: tuple[Path, ...],
    without: Path | None, out: Path | None, resume: Path | None, device: backends.Device,
) -> None:  # fmt: skip
    """Train a network by a RECIPE (a name or a TOML file), or go on with a run.

    Started by torchrun it trains on several devices. Ctrl-C saves the state and ends.
    """
    from crayoncodec.training import commands
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
            run = commands.new_run(out, recipe, overrides, sources, validation, _names(without))
        done = commands.train(run, resume is None, device, _say_all)
    except (CrayError, OSError) as error:
        _fail("train", error)
    if not done:
        streams.say(f"interrupted; cray train --resume {run.folder} goes on", err=True)
        sys.exit(jobs.EXIT_INTERRUPTED)


@main.command("eval", epilog="Example: cray eval compact --data kodak/ -n 10 -n 20")
@click.argument("model")
@_sources
@click.option(
    "-n", "--spacing", "spacings", multiple=True, type=click.IntRange(MIN_SPACING, MAX_SPACING),
    default=(6, 15, 20, 40, 50, 60, 80, 100), show_default=True,
    help="Pixels from one sample to the next; may be given several times.",
)  # fmt: skip
@click.option(
    "--sampling", type=click.Choice(SAMPLINGS), default="mean", show_default=True,
    help="Mean of each cell, or the paper's every n-th pixel.",
)  # fmt: skip
@_without
@_device
@_json
def evaluate(
    model: str, sources: tuple[Path, ...], spacings: tuple[int, ...], sampling: Sampling,
    without: Path | None, device: backends.Device, as_json: bool,
) -> None:  # fmt: skip
    """Measure MODEL (a checkpoint or the folder of a run) in the decoder, beside guided upsampling."""
    from crayoncodec.training import commands

    if not sources:
        raise click.UsageError("expected --data PATH")
    try:
        report, count = commands.evaluated(model, sources, spacings, sampling, _names(without), device, _warn)
    except (CrayError, OSError) as error:
        _fail(model, error)
    if as_json:
        streams.say(_json_line({"model": model, "pictures": count, "n": report}))
        return
    streams.say(f"{count} pictures, {sampling} samples")
    for n, by_decoder in report.items():
        for decoder, values in by_decoder.items():
            shown = "  ".join(
                f"{name} {value:8.3f}" if isinstance(value, float) else f"{name} {value}"
                for name, value in values.items()
            )
            streams.say(f"n={n:<4} {decoder:8} {shown}")


@main.command(epilog="Example: cray export runs/mine -o models/mine")
@click.argument("source", metavar="RUN|CHECKPOINT")
@click.option("-o", "--output", required=True, type=click.Path(path_type=Path), help="NAME.safetensors")
@click.option("--version", help="Of the checkpoint.  [default: 1]")
@click.option("--data", help="What it was trained on, in words.  [default: names of its sources]")
@click.option("--license", help="[default: Apache-2.0]")
@click.option(
    "--measured-on", multiple=True, type=click.Path(exists=True, path_type=Path),
    help="Folder of pictures or tar pack to decode with it, for the card.",
)  # fmt: skip
@click.option(
    "--int8", "calibration", multiple=True, type=click.Path(exists=True, path_type=Path),
    help="Folder of pictures or tar pack to calibrate a graph of 8-bit whole numbers on.",
)  # fmt: skip
def export(
    source: str, output: Path, version: str | None, data: str | None, license: str | None,
    measured_on: tuple[Path, ...], calibration: tuple[Path, ...],
) -> None:  # fmt: skip
    """Write the weights of a RUN as a checkpoint (float16) with its card, and a small network's ONNX graph.

    Of a CHECKPOINT that there is already both are written again, and the graph is made anew.
    """
    from crayoncodec.training import export as exporting
    from crayoncodec.training.runs import Run

    try:
        if Path(source).is_dir():
            card = exporting.export(
                Run.open(Path(source)), output, version=version or "1", data=data or "",
                license=license or "Apache-2.0", measured_on=measured_on,
            )  # fmt: skip
        elif version or data or license or (measured_on and not calibration):
            raise click.UsageError(
                "a checkpoint keeps its card, expected -o and no option but --int8 with one"
            )
        else:
            card = exporting.copy(source, output)
        if calibration:
            from crayoncodec.training import quantized

            card = quantized.write(exporting.named(output), calibration, measured_on)
    except (CrayError, OSError) as error:
        _fail(source, error)
    streams.say(f"{card.name}: {card.parameters:,} parameters, {card.macs_per_pixel:,} MAC/pixel")


def _names(path: Path | None) -> list[str]:
    """The lines of a file."""
    if path is None:
        return []
    return [name for line in path.read_bytes().splitlines() if (name := os.fsdecode(line.strip()))]


def _say_all(lines: str) -> None:
    for line in lines.splitlines():
        streams.say(line)


def _warn(line: str) -> None:
    streams.say(f"cray: {line}", err=True)


def _encoder(*, max_pixels: int, **options: Any) -> jobs.Convert:
    """The conversion with these options of ``encode``. Raises click.UsageError."""
    if options["lightness"] == "zstd" and not options["lossless"]:
        raise click.UsageError("--lightness zstd is exact, expected --lossless-lightness with it")
    if options["lossless"] and options["quality"] is not None:
        raise click.UsageError("--lossless-lightness has no --quality")
    if options["lightness"] == "avif" and options["lossless"]:
        raise click.UsageError("--lightness avif cannot be --lossless-lightness, expected webp or zstd")
    try:
        codec.check_options(**options)
    except ValueError as error:
        raise click.UsageError(_as_typed(encode, str(error))) from error
    return partial(_encode, options=options | {"limits": Limits(pixels=max_pixels)})


def _extension(output_format: str | None) -> str:
    """Of outputs in this format. Raises click.UsageError."""
    if output_format is None:
        return ".png"
    from crayoncodec import formats

    extension = f".{output_format.removeprefix('.').lower()}"
    try:
        formats.written(extension)
    except CrayError as error:
        raise click.UsageError(f"--format is {output_format}: {error}") from error
    return extension


def _decoder(
    *,
    strip: tuple[str, ...],
    output_quality: int | None,
    max_pixels: int,
    extension: str = ".png",
    **options: Any,
) -> jobs.Convert:
    """The conversion with these options of ``decode``. Raises click.UsageError."""
    if options["color"] in ("guided", "gray") and options["model"] is not None:
        raise click.UsageError(f"--model is for --color neural, found --color {options['color']}")
    try:
        decoder = codec.Decoder(**options, limits=Limits(pixels=max_pixels))
    except ValueError as error:
        raise click.UsageError(_as_typed(decode, str(error))) from error
    saved = {"strip": strip} | ({} if output_quality is None else {"quality": output_quality})
    return partial(_decode, decoder=decoder, otherwise=extension, saved=saved)


def _as_typed(command: click.Command, message: str) -> str:
    """What the library says of its arguments, with the options of a command that they come from."""
    typed = {param.name: param.opts[0] for param in command.params if isinstance(param, click.Option)}
    return re.sub(r"\w+", lambda word: typed.get(word[0], word[0]), message)


def _encode(data: bytes, extension: str, options: dict[str, Any]) -> tuple[bytes, dict[str, Any]]:
    from crayoncodec import images

    picture = images.open_picture(data, options["limits"])
    result = codec.encode(picture, **options)
    if extension.lower() not in ("", ".cray"):
        warnings.warn(f"it is a .cray file in spite of its extension {extension}", CrayWarning, stacklevel=2)
    if len(result) > len(data):
        warnings.warn(
            f"it is larger than its source: {len(result):,} bytes, not {len(data):,}",
            CrayWarning,
            stacklevel=2,
        )
    height, width = picture.rgb.shape[:2]
    return result, {
        "width": width,
        "height": height,
        "n": options["n"],
        "bpp": 8 * len(result) / (width * height),
    }


def _decode(
    data: bytes, extension: str, decoder: codec.Decoder, otherwise: str, saved: dict[str, Any]
) -> tuple[bytes, dict[str, Any]]:
    from crayoncodec import saving

    picture = decoder.picture(data)
    result = saving.save_picture(picture, extension or otherwise, **saved)
    height, width = picture.rgb.shape[:2]
    return result, {"width": width, "height": height, "color": decoder.color}


def _verify(job: jobs.Job, limits: Limits) -> jobs.Outcome:
    start = time.perf_counter()
    try:
        codec.verify(jobs.read_input(job.source), limits)
    except Exception as error:  # as in jobs.do: the other files are still to be verified
        jobs.give_way(error)
        return jobs.Outcome(job, time.perf_counter() - start, jobs.code_of(error), jobs.one_line(error))
    return jobs.Outcome(job, time.perf_counter() - start)


def _read(name: str, limits: Limits) -> Picture:
    from crayoncodec import images

    data = jobs.read_input(name)
    return (
        codec.Decoder(limits=limits).picture(data)
        if codec.is_cray(data)
        else images.open_picture(data, limits)
    )


def _plan(
    inputs: Sequence[str], output: str | None, extension: str, recursive: bool,
    accepts: Callable[[Path], bool], overwrite: bool, keep_extension: bool = False,
) -> tuple[list[jobs.Job], int]:  # fmt: skip
    try:
        planned, left_out = jobs.plan(
            inputs, output, extension, recursive=recursive, accepts=accepts, overwrite=overwrite,
            keep_extension=keep_extension,
        )  # fmt: skip
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    if not planned:
        raise click.UsageError(f"nothing to do in {', '.join(inputs)}")
    if any(job.target == jobs.STREAM for job in planned) and sys.stdout.isatty():
        raise click.UsageError("standard output is a terminal, expected -o FILE, or a pipe behind it")
    return planned, left_out


def _finish(
    outcomes: Generator[jobs.Outcome, None, None], planned: Sequence[jobs.Job], as_json: bool, quiet: bool,
    left_out: int = 0,
) -> None:  # fmt: skip
    """Print outcomes as they come, under a progress bar where a person watches, and exit."""
    from tqdm import tqdm

    codes = []
    # Lines never mix with a picture on standard output.
    to_stderr = any(job.target == jobs.STREAM for job in planned)
    delay = _BAR_DELAY if len(planned) == 1 else 0
    with (
        closing(outcomes),
        tqdm(
            total=len(planned), delay=delay, disable=True if quiet else None, leave=False, unit=" files"
        ) as bar,
        _alive(bar),
    ):
        for outcome in outcomes:
            codes.append(outcome.code)
            bar.update()
            with tqdm.external_write_mode():
                _print(outcome, as_json, quiet, to_stderr)
    if left_out and not quiet:
        streams.say(f"cray: {left_out} left out: {jobs.CLUTTER}", err=True)
    sys.exit(jobs.exit_code(codes))


@contextmanager
def _alive(bar: Any) -> Iterator[None]:
    """Redraw a progress bar every second, so that its clock runs while one file takes long."""
    done = threading.Event()

    def redraw() -> None:
        while not done.wait(_BAR_DELAY):
            bar.refresh()

    thread = threading.Thread(target=redraw, daemon=True)
    if not bar.disable:
        thread.start()
    try:
        yield
    finally:
        done.set()
        if thread.is_alive():
            thread.join()


def _print(outcome: jobs.Outcome, as_json: bool, quiet: bool, to_stderr: bool) -> None:
    job = outcome.job
    for warning in outcome.warnings:
        streams.say(f"cray: {job.source}: warning: {warning}", err=True)
    if outcome.error is not None and not (job.target == jobs.STREAM and streams.reader_left()):
        streams.say(f"cray: {job.source}: {outcome.error}", err=True)
    if quiet or (outcome.error is not None and not as_json):
        return
    if as_json:
        line = {
            "input": job.source,
            **({"output": job.target} if job.target else {}),
            "code": outcome.code,
            "error": outcome.error,
            "warnings": outcome.warnings,
            "seconds": round(outcome.seconds, 4),
            **outcome.report,
        }
        streams.say(_json_line(line), err=to_stderr)
    elif not outcome.report:
        streams.say(f"{job.source}: ok")
    else:
        report = outcome.report
        share = 100 * report["output_bytes"] / max(1, report["input_bytes"])
        streams.say(
            f"{job.source} -> {job.target}: {report['width']} x {report['height']}, "
            f"{report['input_bytes']:,} -> {report['output_bytes']:,} bytes ({share:.0f} %), "
            f"{outcome.seconds:.2f} s",
            err=to_stderr,
        )


def _describe(found: Info, level_sizes: list[float]) -> Iterable[str]:
    yield f"picture      {found.width} x {found.height}, .cray {found.version}, {found.color}"
    kept = "exact" if found.lightness_quality is None else f"quality {found.lightness_quality}"
    yield f"lightness    {found.lightness_coder}, {kept}, {found.lightness_depth} bits"
    yield f"alpha        {found.alpha_coder or 'none'}"
    for grid in found.grids:
        samples = f"n = {grid.n}, {grid.sampling}, {grid.columns} x {grid.rows} samples"
        size = f", {grid.size:,} bytes" if grid.size is not None else ", in the chunk of the next"
        own = f", {level_sizes[grid.level]:,.1f} bytes of symbols" if level_sizes else ""
        yield f"grid {grid.level:<7} {samples}, step {grid.step:g}, {grid.coder}{own}{size}"
    if not found.grids:
        yield "grid         none: grey picture"
    yield f"metadata     {', '.join(found.metadata) or 'none'}"
    for chunk in found.chunks:
        yield f"chunk {chunk.type}   {chunk.size:>12,} bytes at {chunk.offset}"
    yield f"size         {found.size:,} bytes, {found.bpp:.4f} bpp"
    yield f"ratio        {found.ratio:.4f} of raw"
    if found.paper_bound is not None:
        square = "n²" if streams.fits("n²") else "n^2"
        yield f"paper        1/3 + 1/{square} = {found.paper_bound:.4f} of raw"
        yield f"corrected    1/3 + 2/(3{square}) = {found.corrected_bound:.4f} of raw"


def _card(name: str) -> Card:
    from crayoncodec import checkpoints

    try:
        return checkpoints.read_card(checkpoints.find(name))
    except CrayError as error:
        _fail(name, error)


def _json_line(values: dict[str, Any]) -> str:
    return json.dumps(_finite(values))


def _finite(value: Any) -> Any:
    """The same with None for what JSON has no number for."""
    if isinstance(value, dict):
        return {key: _finite(each) for key, each in value.items()}
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _is_picture(path: Path) -> bool:
    from crayoncodec import formats

    return formats.reads(path.suffix) and not _is_cray_name(path)


def _is_cray_name(path: Path) -> bool:
    return path.suffix.lower() == ".cray"


def _fail(name: str, error: BaseException) -> NoReturn:
    jobs.give_way(error)
    streams.say(f"cray: {name}: {jobs.one_line(error)}", err=True)
    sys.exit(jobs.code_of(error))


def _encoding_networks(*, effort: int, **_: Any) -> list[str]:
    """What cells are fitted to."""
    from crayoncodec import checkpoints
    from crayoncodec.encoder import FITTED_TO_NETWORK

    return [checkpoints.DEFAULT, checkpoints.DEFAULT_NESTED] if effort >= FITTED_TO_NETWORK else []


def _decoding_networks(*, color: codec.Color, model: str | None, **_: Any) -> list[str]:
    from crayoncodec import checkpoints

    if color not in ("auto", "neural"):
        return []
    return [checkpoints.DEFAULT, checkpoints.DEFAULT_NESTED] if model is None else [model]


main.add_command(
    batches.group(
        batches.Conversion(encode, ".cray", _is_picture, _encoder, _encoding_networks),
        batches.Conversion(decode, ".png", _is_cray_name, _decoder, _decoding_networks),
    )
)
