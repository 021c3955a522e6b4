"""``cray models``."""

from __future__ import annotations

import dataclasses
import json
import sys
from typing import TYPE_CHECKING

import click

from crayoncodec import errors
from crayoncodec.commands import lines
from crayoncodec.errors import CrayError
from crayoncodec.files import streams

if TYPE_CHECKING:
    from crayoncodec.painting.checkpoints import Card


@click.group(invoke_without_command=True, epilog="Example: cray models show compact")
@click.pass_context
def models(context: click.Context) -> None:
    """List, show or verify the checkpoints that decoding can use."""
    if context.invoked_subcommand is None:
        context.invoke(models_list)


@models.command("list", epilog="Example: cray models list")
def models_list() -> None:
    """One line for each checkpoint that is installed, or that pip could install."""
    from crayoncodec.painting import checkpoints

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
    lines.say_all(json.dumps(dataclasses.asdict(_card(name)), indent=2))


@models.command("verify", epilog="Example: cray models verify")
@click.argument("names", nargs=-1)
def models_verify(names: tuple[str, ...]) -> None:
    """Check that checkpoints (all, by default) are what their cards say and load."""
    from crayoncodec.painting import checkpoints

    codes = []
    for name in names or checkpoints.names():
        try:
            checkpoints.load(name)
        except CrayError as error:
            streams.say(f"cray: {name}: {errors.one_line(error)}", err=True)
            codes.append(errors.code_of(error))
        else:
            streams.say(f"{name}: ok")
            codes.append(errors.EXIT_DONE)
    sys.exit(max(codes, default=errors.EXIT_DONE))


def _card(name: str) -> Card:
    from crayoncodec.painting import checkpoints

    try:
        return checkpoints.read_card(checkpoints.find(name))
    except CrayError as error:
        lines.fail(name, error)
