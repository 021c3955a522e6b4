"""``cray encode``."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from functools import partial
from typing import Any

import click

from crayoncodec import codec
from crayoncodec.color.geometry import MAX_SPACING, MIN_SPACING, SAMPLINGS
from crayoncodec.commands import lines, options
from crayoncodec.encoding.parameters import DEFAULT_EFFORT, DEFAULT_QUALITY, check_options
from crayoncodec.errors import CrayWarning
from crayoncodec.files import jobs
from crayoncodec.format.chunks import PLANE_CODERS
from crayoncodec.format.limits import Limits


@click.command(epilog="Example: cray encode photo.jpg -q 80")
@options.inputs
@options.output
@click.option(
    "-q",
    "--quality",
    type=click.IntRange(0, 100),
    help=f"Of the lightness plane, on its coder's scale.  [default: {DEFAULT_QUALITY}]",
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
    help="Coder of the lightness plane; if given, drawings are coded like photographs.  [default: avif, "
    "with --lossless-lightness webp; zstd is the fast lossless one]",
)
@click.option(
    "-e",
    "--effort",
    type=click.IntRange(1, 9),
    default=DEFAULT_EFFORT,
    show_default=True,
    help="From 5 on AVIF takes longer for fewer bytes, bits are spent where they count, and colours are "
    "fitted to what decoders make of them (with -n from 6 on, at 9 to the network), drawings may be kept "
    "exactly; from 7 on colours are fitted twice; at 9 AVIF takes longer still.",
)
@options.strip
@options.max_pixels
@options.recursive
@options.workers
@click.option(
    "--keep-extension", is_flag=True, help="Name outputs like photo.jpg.cray, so that photo.png has its own."
)
@options.overwrite
@options.json
@options.quiet
def encode(
    inputs: tuple[str, ...], output: str | None, quality: int | None, color_quality: int | None,
    max_delta_e: float | None, target_size: int | None, n: int | None, lossless: bool, sampling: str,
    lightness: str | None, effort: int, strip: tuple[str, ...], max_pixels: int, recursive: bool,
    workers: int, keep_extension: bool, overwrite: bool, as_json: bool, quiet: bool,
) -> None:  # fmt: skip
    """Encode pictures (files, directories with -r, or - for standard input) to .cray."""
    convert = encoder(n=n, quality=quality, color_quality=color_quality, max_delta_e=max_delta_e,
                       target_size=target_size, lossless=lossless, sampling=sampling, lightness=lightness,
                       effort=effort, strip=strip, max_pixels=max_pixels)  # fmt: skip
    planned, left_out = options.plan(
        inputs, output, ".cray", recursive, options.is_picture, overwrite, keep_extension
    )
    lines.finish(jobs.run(planned, convert, workers), planned, as_json, quiet, left_out)


def encoder(*, max_pixels: int, **chosen: Any) -> jobs.Convert:
    """The conversion with these options of ``encode``. Raises click.UsageError."""
    if chosen["lightness"] == "zstd" and not chosen["lossless"]:
        raise click.UsageError("--lightness zstd is exact, expected --lossless-lightness with it")
    if chosen["lossless"] and chosen["quality"] is not None:
        raise click.UsageError("--lossless-lightness has no --quality")
    if chosen["lightness"] == "avif" and chosen["lossless"]:
        raise click.UsageError("--lightness avif cannot be --lossless-lightness, expected webp or zstd")
    try:
        check_options(**chosen)
    except ValueError as error:
        raise click.UsageError(options.as_typed(encode, str(error))) from error
    return partial(_encode, chosen=chosen | {"limits": Limits(pixels=max_pixels)})


def _encode(
    read: Callable[[], bytes], extension: str, chosen: dict[str, Any]
) -> tuple[bytes, dict[str, Any]]:
    from crayoncodec.files import images

    data = read()
    size = len(data)
    picture = images.open_picture(data, chosen["limits"])
    del data  # of an uncompressed file as many bytes as of the picture
    result = codec.encode(picture, **chosen)
    if extension.lower() not in ("", ".cray"):
        warnings.warn(f"it is a .cray file in spite of its extension {extension}", CrayWarning, stacklevel=2)
    if len(result) > size:
        warnings.warn(
            f"it is larger than its source: {len(result):,} bytes, not {size:,}",
            CrayWarning,
            stacklevel=2,
        )
    height, width = picture.rgb.shape[:2]
    return result, {
        "width": width,
        "height": height,
        "n": chosen["n"],
        "bpp": 8 * len(result) / (width * height),
    }


def networks(*, effort: int, n: int | None, **_: Any) -> list[str]:
    """Checkpoints that cells are fitted to with these options."""
    from crayoncodec.encoding.encoder import GRID_FITTED_TO_NETWORK
    from crayoncodec.painting import checkpoints

    return [checkpoints.DEFAULT] if n is not None and effort >= GRID_FITTED_TO_NETWORK else []
