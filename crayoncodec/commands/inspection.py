"""``cray info``, ``verify`` and ``compare``."""

from __future__ import annotations

import dataclasses
import sys
import time
from collections.abc import Iterable
from typing import TYPE_CHECKING

import click

from crayoncodec import codec, errors
from crayoncodec.commands import lines, options
from crayoncodec.errors import CrayError
from crayoncodec.files import jobs, streams
from crayoncodec.format import container
from crayoncodec.format.limits import Limits

if TYPE_CHECKING:
    from crayoncodec.files.picture import Picture


@click.command(epilog="Example: cray info photo.cray --json")
@click.argument("file", type=click.Path())
@click.option(
    "--levels", is_flag=True,
    help="Decode the colours, too, and show the bytes of every level of nested grids.",
)  # fmt: skip
@options.max_pixels
@options.json
def info(file: str, levels: bool, max_pixels: int, as_json: bool) -> None:
    """Show every header field of a .cray file, its chunks and what its size comes to."""
    try:
        source = jobs.read_input(file) if levels or file == jobs.STREAM else file
        limits = Limits(pixels=max_pixels)
        found = codec.info(source, limits)
        sizes = _level_sizes(source, limits) if isinstance(source, bytes) and levels else None
    except (CrayError, OSError) as error:
        lines.fail(file, error)
    if as_json:
        more = {} if sizes is None else {"level_bytes": sizes}
        streams.say(lines.json_line(dataclasses.asdict(found) | more))
    else:
        for line in _describe(found, sizes or []):
            streams.say(line)


@click.command(epilog="Example: cray verify *.cray")
@click.argument("files", nargs=-1, required=True, type=click.Path())
@options.max_pixels
@options.json
@options.quiet
def verify(files: tuple[str, ...], max_pixels: int, as_json: bool, quiet: bool) -> None:
    """Check all checksums of .cray files and decode everything in them but the recolorization."""
    planned = [jobs.Job(name, "") for name in files]
    lines.finish((_verify(job, Limits(pixels=max_pixels)) for job in planned), planned, as_json, quiet)


@click.command(epilog="Example: cray compare photo.jpg photo.cray")
@click.argument("first", type=click.Path())
@click.argument("second", type=click.Path())
@options.max_pixels
@options.json
def compare(first: str, second: str, max_pixels: int, as_json: bool) -> None:
    """Measure how far a picture is from its original; either may be a .cray file, decoded as by default.

    Both are turned upright; where only one has a colour profile, or another one, both are in sRGB.
    """
    from crayoncodec.encoding import metrics
    from crayoncodec.files.picture import in_srgb, upright

    pictures = []
    for name in (first, second):
        try:
            with jobs.collected_warnings() as collected:
                pictures.append(upright(_read(name, Limits(pixels=max_pixels))))
        except (CrayError, OSError) as error:
            lines.fail(name, error)
        for warning in collected:
            streams.say(f"cray: {name}: warning: {warning.message}", err=True)
    if len({picture.metadata.get("icc_profile") for picture in pictures}) > 1:
        with jobs.collected_warnings():
            pictures = [in_srgb(picture) for picture in pictures]
    try:
        values = dataclasses.asdict(metrics.compare(*(picture.rgb for picture in pictures)))
    except ValueError as error:
        streams.say(f"cray: {second}: {error}", err=True)
        sys.exit(errors.EXIT_SOME_FAILED)
    if as_json:
        streams.say(lines.json_line({"first": first, "second": second, **values}))
    else:
        for name, value in values.items():
            streams.say(f"{name:16} {value:.4f}")


def _verify(job: jobs.Job, limits: Limits) -> jobs.Outcome:
    start = time.perf_counter()
    try:
        codec.verify(jobs.read_input(job.source), limits)
    except Exception as error:  # as in jobs.do: the other files are still to be verified
        errors.give_way(error)
        return jobs.Outcome(job, time.perf_counter() - start, errors.code_of(error), errors.one_line(error))
    return jobs.Outcome(job, time.perf_counter() - start)


def _read(name: str, limits: Limits) -> Picture:
    from crayoncodec.files import images

    data = jobs.read_input(name)
    return (
        codec.Decoder(limits=limits).picture(data)
        if codec.is_cray(data)
        else images.open_picture(data, limits)
    )


def _level_sizes(data: bytes, limits: Limits) -> list[float]:
    from crayoncodec.format import decoding

    return decoding.level_sizes(container.unpack(data, limits))


def _describe(found: codec.Info, level_sizes: list[float]) -> Iterable[str]:
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
    if found.painting is not None:
        yield f"painting     {found.painting} is closer"
    yield f"metadata     {', '.join(found.metadata) or 'none'}"
    for chunk in found.chunks:
        yield f"chunk {chunk.type}   {chunk.size:>12,} bytes at {chunk.offset}"
    yield f"size         {found.size:,} bytes, {found.bpp:.4f} bpp"
    yield f"ratio        {found.ratio:.4f} of raw"
    if found.paper_bound is not None:
        square = "n²" if streams.fits("n²") else "n^2"
        yield f"paper        1/3 + 1/{square} = {found.paper_bound:.4f} of raw"
        yield f"corrected    1/3 + 2/(3{square}) = {found.corrected_bound:.4f} of raw"
