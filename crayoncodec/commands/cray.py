"""The ``cray`` command itself: its group of commands, and how it ends."""

from __future__ import annotations

import io
import logging
import sys
from importlib import import_module
from typing import Any, Final, NoReturn

import click

import crayoncodec
from crayoncodec import errors
from crayoncodec.files import streams

_COMMANDS: Final = {
    "encode": "encode", "decode": "decode", "info": "inspection", "verify": "inspection",
    "compare": "inspection", "models": "models", "train": "train", "eval": "train",
    "export": "train", "batch": "batch", "thumbnail": "decode", "desktop": "desktop",
    "view": "view",
}  # fmt: skip
"""The modules that commands are in, which are imported when they are asked for."""
_EXTRAS: Final = {"torch": "train", "starlette": "view", "uvicorn": "view"}
"""Packages that whole commands need, and the extras that bring them."""


class _Cray(click.Group):
    """Prints and ends as it should whatever the standard streams are, and by Ctrl-C."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        module = import_module(f"crayoncodec.commands.{_COMMANDS[cmd_name]}")
        found: click.Command = getattr(module, {"eval": "evaluate"}.get(cmd_name, cmd_name))
        return found

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
                sys.exit(errors.EXIT_INTERRUPTED)

    def invoke(self, ctx: click.Context) -> Any:
        try:
            try:
                return super().invoke(ctx)
            except ModuleNotFoundError as error:
                name = (error.name or "").partition(".")[0]
                if name not in _EXTRAS:
                    raise
                extra = f"pip install crayoncodec[{_EXTRAS[name]}]"
                streams.say(f"cray: {name} is not installed, expected {extra}", err=True)
                sys.exit(errors.EXIT_USAGE)
            except Exception as error:
                errors.give_way(error)
                raise
        except KeyboardInterrupt:
            streams.say("cray: interrupted", err=True)
            sys.exit(errors.EXIT_INTERRUPTED)
        except MemoryError as error:
            streams.say(f"cray: {errors.one_line(error)}", err=True)
            sys.exit(errors.code_of(error))


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
