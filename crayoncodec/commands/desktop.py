"""``cray desktop``."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

import click

import crayoncodec
from crayoncodec import errors
from crayoncodec.commands import lines, manual
from crayoncodec.errors import CrayError
from crayoncodec.files import streams

_prefix = click.option(
    "--prefix",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="FOLDER",
    help="Below whose share/ files go: /usr/local for everybody.  [default: $XDG_DATA_HOME, ~/.local/share]",
)


@click.group(epilog="Example: cray desktop install")
def desktop() -> None:
    """Have file managers, file(1), shells and man know .cray files and this command (Linux)."""


@desktop.command(epilog="Example: cray desktop install")
@_prefix
@click.pass_context
def install(context: click.Context, prefix: Path | None) -> None:
    """Write a MIME type, a thumbnailer, file(1)'s magic, completion for bash, zsh and fish, a manual page.

    Prints the path of each file that is new or was outdated. What is there from elsewhere is left as it is.
    Thumbnails are made by the Python that runs this command: install again when it has moved.
    """
    from crayoncodec.plugins import freedesktop

    main = context.find_root().command
    assert isinstance(main, click.Group)
    share = _share(prefix)
    texts = freedesktop.files(
        share,
        Path.home() / ".magic" if prefix is None else None,
        manual.page(main, crayoncodec.__version__),
        _completions(main),
    )
    _finish(freedesktop.install(share, texts))


@desktop.command(epilog="Example: cray desktop remove")
@_prefix
def remove(prefix: Path | None) -> None:
    """Remove what install wrote, and nothing else.

    Prints the path of each file. Those that were changed since are left.
    """
    from crayoncodec.plugins import freedesktop

    _finish(freedesktop.remove(_share(prefix)))


def _share(prefix: Path | None) -> Path:
    if os.name == "nt":
        raise click.UsageError("Windows is no freedesktop.org system: there is nothing to install there")
    if prefix is not None:
        return prefix.absolute() / "share"
    stated = Path(os.environ.get("XDG_DATA_HOME", ""))  # which counts only if it is absolute
    return stated if stated.is_absolute() else Path.home() / ".local/share"


def _completions(main: click.Group) -> dict[str, str]:
    from click.shell_completion import ShellComplete, get_completion_class

    found = {}
    for shell in ("bash", "zsh", "fish"):
        kind = get_completion_class(shell)
        assert kind is not None
        # Not kind.source, which for bash asks the installed one for its version.
        found[shell] = ShellComplete.source(kind(main, {}, "cray", "_CRAY_COMPLETE"))
    return found


def _finish(outcomes: Iterator[tuple[Path, str | None]]) -> NoReturn:
    code = errors.EXIT_DONE
    try:
        for path, problem in outcomes:
            if problem is None:
                streams.say(str(path))
            else:
                lines.warn(f"{path}: {problem}")
                code = errors.EXIT_SOME_FAILED
    except CrayError as error:
        lines.warn(errors.one_line(error))
        code = errors.code_of(error)
    sys.exit(code)
