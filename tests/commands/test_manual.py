"""The manual page says all that the commands say, in roff."""

from __future__ import annotations

import shutil
import subprocess

import click
import pytest

from crayoncodec.commands import cray, manual


def commands(context):
    """Contexts of all commands in one."""
    for name in context.command.list_commands(context):
        command = context.command.get_command(context, name)
        inside = click.Context(command, parent=context, info_name=name)
        yield inside
        if isinstance(command, click.Group):
            yield from commands(inside)


@pytest.fixture(scope="module")
def page():
    return manual.page(cray.main, "1.2.3")


def test_every_command_and_option_is_there(page):
    plain = page.replace(r"\-", "-")
    assert plain.startswith('.TH CRAY 1 "" "crayoncodec 1.2.3"')
    found = [*commands(click.Context(cray.main, info_name="cray"))]
    assert {"cray batch encode", "cray decode", "cray desktop install", "cray models list"} <= {
        inside.command_path for inside in found
    }
    sections = {part.splitlines()[0]: part for part in plain.split("\n.SS ")[1:]}
    for inside in found:
        usage = f"{inside.command_path} {' '.join(inside.command.collect_usage_pieces(inside))}"
        for option in inside.command.params:
            if isinstance(option, click.Option):
                lines = [line for line in sections[usage].splitlines() if line.startswith(".B -")]
                assert any({*option.opts} <= {*line.replace(",", " ").split()} for line in lines)


def test_lines_that_are_kept_and_lines_that_roff_would_take():
    @click.group()
    def main():
        """Summary.

        \b
        kept
        lines

        .no request, 'tis text with a back\\slash and a-dash
        """

    page = manual.page(main, "1")
    assert "\n.nf\nkept\nlines\n.fi\n" in page
    assert "\n" + r"\&.no request, 'tis text with a back\eslash and a\-dash" + "\n" in page


@pytest.mark.skipif(shutil.which("groff") is None, reason="groff is not installed")
def test_groff_has_nothing_to_say_against_it(page):
    done = subprocess.run(
        ["groff", "-man", "-Tutf8", "-Kutf8", "-ww", "-z"],
        input=page.encode(),
        capture_output=True,
        check=True,
    )
    assert done.stderr == b""
