"""Arguments and options that commands share, and what typed values come to."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from crayoncodec.files import jobs
from crayoncodec.format.chunks import STRIPPABLE
from crayoncodec.format.limits import DEFAULT_LIMITS
from crayoncodec.painting import backends

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem


def paths(context: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """What a shell completes to names of files."""
    from click.shell_completion import CompletionItem

    return [CompletionItem(incomplete, type="file")]


inputs = click.argument("inputs", nargs=-1, required=True, metavar="IN...", shell_complete=paths)
output = click.option(
    "-o",
    "--output",
    metavar="OUT",
    shell_complete=paths,
    help="File, existing directory, or - for standard output.",
)
recursive = click.option(
    "-r", "--recursive", is_flag=True, help="Take directories, and keep their trees under -o."
)
overwrite = click.option("--overwrite", is_flag=True, help="Replace outputs that exist.")
workers = click.option(
    "-j",
    "--jobs",
    "workers",
    type=click.IntRange(1),
    default=1,
    show_default=True,
    help="Pictures at a time.",
)
device = click.option(
    "--device",
    type=click.Choice(backends.DEVICES),
    default="auto",
    show_default=True,
    help="Where the network runs. auto: CUDA where there is a device.",
)
precision = click.option(
    "--precision",
    type=click.Choice(backends.PRECISIONS),
    default="auto",
    show_default=True,
    help="What it computes in. auto: float16 with CUDA, else float32.",
)
strip = click.option(
    "--strip",
    multiple=True,
    type=click.Choice(STRIPPABLE),
    help="Metadata to leave out; may be given several times. Pictures are turned and their colours converted "
    "where that is what it said; gps: positions alone.",
)
max_pixels = click.option(
    "--max-pixels",
    type=click.IntRange(1),
    default=DEFAULT_LIMITS.pixels,
    show_default=True,
    metavar="N",
    help="Refuse larger pictures.",
)
json = click.option("--json", "as_json", is_flag=True, help="Print JSON Lines.")
quiet = click.option("--quiet", is_flag=True, help="Print nothing but warnings and errors.")


sources = click.option(
    "--data",
    "sources",
    multiple=True,
    type=click.Path(exists=True, path_type=Path),
    help="Folder of pictures or tar pack; may be given several times.",
)
without = click.option(
    "--without",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A file with names of pictures to leave out, one to a line.",
)


def names(path: Path | None) -> list[str]:
    """The lines of a file."""
    if path is None:
        return []
    return [name for line in path.read_bytes().splitlines() if (name := os.fsdecode(line.strip()))]


def as_typed(command: click.Command, message: str) -> str:
    """What the library says of its arguments, with the options of a command that they come from."""
    typed = {param.name: param.opts[0] for param in command.params if isinstance(param, click.Option)}
    return re.sub(r"\w+", lambda word: typed.get(word[0], word[0]), message)


def is_picture(path: Path) -> bool:
    """Whether a file of a tree is encoded, by its name."""
    from crayoncodec.files import formats

    return formats.reads(path.suffix) and not is_cray_name(path)


def is_cray_name(path: Path) -> bool:
    """Whether it is decoded."""
    return path.suffix.lower() == ".cray"


def plan(
    inputs: Sequence[str], output: str | None, extension: str, recursive: bool,
    accepts: Callable[[Path], bool], overwrite: bool, keep_extension: bool = False,
) -> tuple[list[jobs.Job], int]:  # fmt: skip
    """As jobs.plan. Raises click.UsageError, also where nothing is to be done, or a terminal would get it."""
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
