"""``cray decode`` and ``cray thumbnail``."""

from __future__ import annotations

import io
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import click

from crayoncodec import codec
from crayoncodec.color.geometry import SCALES
from crayoncodec.commands import lines, options
from crayoncodec.errors import CrayError
from crayoncodec.files import jobs
from crayoncodec.format.limits import Limits
from crayoncodec.painting import backends


@click.command(epilog="Example: cray decode photo.cray -o photo.png --color guided")
@options.inputs
@options.output
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
    "--scale",
    type=click.Choice([f"1/{scale}" for scale in SCALES]),
    default="1/1",
    show_default=True,
    callback=lambda context, option, value: int(value.removeprefix("1/")),
    help="A picture so many times smaller on either side, in less time, and without a network.",
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
@options.strip
@options.max_pixels
@options.device
@options.precision
@options.recursive
@options.workers
@options.overwrite
@options.json
@options.quiet
def decode(
    inputs: tuple[str, ...], output: str | None, color: codec.Color, model: str | None,
    levels: int | None, scale: int, output_format: str | None, output_quality: int | None,
    strip: tuple[str, ...], max_pixels: int, device: backends.Device,
    precision: backends.Precision, recursive: bool, workers: int, overwrite: bool, as_json: bool, quiet: bool,
) -> None:  # fmt: skip
    """Decode .cray files to PNG, or to what the output's extension says (anything that Pillow writes)."""
    extension = _extension(output_format)
    convert = decoder(
        color=color, model=model, device=device, precision=precision, levels=levels,
        scale=scale, strip=strip, output_quality=output_quality, extension=extension, max_pixels=max_pixels,
    )  # fmt: skip
    planned, left_out = options.plan(inputs, output, extension, recursive, options.is_cray_name, overwrite)
    lines.finish(jobs.run(planned, convert, workers), planned, as_json, quiet, left_out)


@click.command(epilog="Example: cray thumbnail photo.cray photo.png 256")
@click.argument("source", metavar="IN", shell_complete=options.paths)
@click.argument("target", metavar="OUT", shell_complete=options.paths)
@click.argument("size", type=click.IntRange(1), default=256)
@options.max_pixels
def thumbnail(source: str, target: str, size: int, max_pixels: int) -> None:
    """A small PNG of a .cray file, as file managers show it: at most SIZE x SIZE pixels, 256 by default.

    It is decoded reduced, without a network, and is upright and sRGB. OUT is overwritten whatever its name.
    """
    place = Path(target)
    try:
        with jobs.collected_warnings():
            data = _thumbnail(Path(source).read_bytes(), size, Limits(pixels=max_pixels))
        if place.exists() and place.samefile(source):
            raise click.UsageError(f"{target} is the input, expected another name")
    except (CrayError, OSError) as error:
        lines.fail(source, error)
    try:
        # Not by a new file in its place: file managers may have it open already, and read that.
        place.write_bytes(data)
    except OSError as error:
        lines.fail(target, error)


def _extension(output_format: str | None) -> str:
    """Of outputs in this format. Raises click.UsageError."""
    if output_format is None:
        return ".png"
    from crayoncodec.files import formats

    extension = f".{output_format.removeprefix('.').lower()}"
    try:
        formats.written(extension)
    except CrayError as error:
        raise click.UsageError(f"--format is {output_format}: {error}") from error
    return extension


def decoder(
    *,
    strip: tuple[str, ...],
    output_quality: int | None,
    max_pixels: int,
    extension: str = ".png",
    **chosen: Any,
) -> jobs.Convert:
    """The conversion with these options of ``decode``. Raises click.UsageError."""
    if chosen["color"] in ("guided", "gray") and chosen["model"] is not None:
        raise click.UsageError(f"--model is for --color neural, found --color {chosen['color']}")
    try:
        decoder = codec.Decoder(**chosen, limits=Limits(pixels=max_pixels))
    except ValueError as error:
        raise click.UsageError(options.as_typed(decode, str(error))) from error
    saved = {"strip": strip} | ({} if output_quality is None else {"quality": output_quality})
    return partial(_decode, decoder=decoder, otherwise=extension, saved=saved)


def _decode(
    read: Callable[[], bytes], extension: str, decoder: codec.Decoder, otherwise: str, saved: dict[str, Any]
) -> tuple[bytes, dict[str, Any]]:
    picture = decoder.picture(read())
    from crayoncodec.files import saving

    result = saving.save_picture(picture, extension or otherwise, **saved)
    height, width = picture.rgb.shape[:2]
    return result, {"width": width, "height": height, "color": decoder.color}


def _thumbnail(data: bytes, size: int, limits: Limits) -> bytes:
    from crayoncodec.view import gallery

    stream = io.BytesIO()
    gallery.of_cray(data, size, limits).save(stream, "PNG", compress_level=1)
    return stream.getvalue()


def networks(*, color: codec.Color, model: str | None, scale: int, **_: Any) -> list[str]:
    """Checkpoints that pictures are decoded with by these options; nested grids need none."""
    from crayoncodec.painting import checkpoints

    if model is not None:
        return [model]
    paints = color == "neural" or (color == "auto" and backends.is_installed())
    return [checkpoints.DEFAULT] if paints and scale == 1 else []
