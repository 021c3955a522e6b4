"""``cray bench``."""

from __future__ import annotations

import dataclasses

import click

from crayoncodec.commands import lines, options
from crayoncodec.errors import CrayError
from crayoncodec.files import streams


@click.command(epilog="Example: cray bench --size 12")
@click.option(
    "--size",
    type=click.FloatRange(0.01, 50),
    default=1.0,
    show_default=True,
    help="Megapixels of the picture.",
)
@click.option("--model", default="nested", show_default=True, metavar="NAME|PATH", help="Checkpoint to time.")
@options.json
def bench(size: float, model: str, as_json: bool) -> None:
    """Time decoding on this machine with every backend that is installed, and say which to choose."""
    from crayoncodec.commands import timing

    try:
        rows = timing.measure(model, size, lambda line: streams.say(line, err=True))
    except CrayError as error:
        lines.fail(model, error)
    said = timing.advice(rows)
    if as_json:
        for row in rows:
            streams.say(lines.json_line(dataclasses.asdict(row)))
        streams.say(lines.json_line({"advice": said}))
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
