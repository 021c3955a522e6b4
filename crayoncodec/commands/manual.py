"""The manual page of ``cray``, made of what its commands say of themselves."""

from __future__ import annotations

import inspect
from collections.abc import Iterator

import click


def page(main: click.Group, version: str) -> str:
    """The page for man(1), in roff: every command with its options, in the order of ``cray --help``."""
    with click.Context(main, info_name="cray", **main.context_settings) as context:
        lines = [
            f'.TH CRAY 1 "" "crayoncodec {version}" "User Commands"',
            ".SH NAME",
            rf"cray \- {_escaped(main.get_short_help_str(200))}",
            ".SH SYNOPSIS",
            f".B {_usage(context)}",
            ".SH DESCRIPTION",
            *_description(main),
            *_options(context),
            ".SH COMMANDS",
        ]
        for inside in _commands(context):
            lines += [f".SS {_usage(inside)}", *_description(inside.command), *_options(inside)]
    return "\n".join(lines) + "\n"


def _commands(context: click.Context) -> Iterator[click.Context]:
    """Of all commands of a group, and of the groups in it."""
    group = context.command
    if not isinstance(group, click.Group):
        return
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        inside = click.Context(command, parent=context, info_name=name, **command.context_settings)
        yield inside
        yield from _commands(inside)


def _usage(context: click.Context) -> str:
    return _escaped(" ".join([context.command_path, *context.command.collect_usage_pieces(context)]))


def _description(command: click.Command) -> Iterator[str]:
    for paragraph in inspect.cleandoc(command.help or "").split("\n\n"):
        kept = paragraph.removeprefix("\b\n")  # click's mark of lines to keep
        lines = map(_escaped, kept.splitlines())
        yield from (".PP", *lines) if kept == paragraph else (".PP", ".nf", *lines, ".fi")
    if command.epilog:
        yield from (".PP", _escaped(command.epilog))


def _options(context: click.Context) -> Iterator[str]:
    top = context.parent is None  # where --help is told of
    for param in context.command.get_params(context) if top else context.command.params:
        record = param.get_help_record(context) if isinstance(param, click.Option) else None
        if record is not None:
            names, text = map(_escaped, record)
            yield from (".TP", f".B {names}", text)


def _escaped(text: str) -> str:
    """Text that roff takes for nothing else."""
    text = text.replace("\\", r"\e").replace("-", r"\-")
    return rf"\&{text}" if text.startswith((".", "'")) else text
