"""``python -m benchmarks colors|files|speed|choices``: measure, print a Markdown table, write JSON."""

from __future__ import annotations

import json
import platform
from importlib.metadata import version
from pathlib import Path
from typing import Any

import click

from benchmarks import choices, colors, files, speed

_LIBRARIES = ("crayoncodec", "numpy", "opencv-python", "pillow", "torch", "zstandard")
_folder = click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
_out = click.option("--out", type=click.Path(dir_okay=False, path_type=Path), help="Results, as JSON.")


@click.group()
def main() -> None:
    """Measure crayoncodec on a folder of PNG or JPEG pictures."""


@main.command("colors", epilog="Example: python -m benchmarks colors kodak/ --out colors.json")
@_folder
@_out
@click.option("--model", default="compact", show_default=True)
def colors_command(folder: Path, out: Path | None, model: str) -> None:
    """Colour error of each decoder from cell means, original lightness kept."""
    _finish(colors.measure(_pictures(folder), model), colors.table, out)


@main.command("files", epilog="Example: python -m benchmarks files kodak/ --out files.json")
@_folder
@_out
def files_command(folder: Path, out: Path | None) -> None:
    """Bytes and SSIMULACRA2 of whole files against JPEG at quality 92, 4:2:0."""
    _finish(files.measure(_pictures(folder)), files.table, out)


@main.command("speed", epilog="Example: python -m benchmarks speed kodak/ --out speed.json")
@_folder
@_out
def speed_command(folder: Path, out: Path | None) -> None:
    """Start-up of the package and the command, and seconds per megapixel."""
    _finish(speed.measure(_pictures(folder)), speed.table, out)


@main.command("choices", epilog="Example: python -m benchmarks choices kodak/ --out choices.json")
@_folder
@_out
def choices_command(folder: Path, out: Path | None) -> None:
    """What the defaults were chosen by: qualities, lossless coders, grid coders, steps."""
    _finish(choices.measure(_pictures(folder)), choices.table, out)


def _pictures(folder: Path) -> list[Path]:
    found = sorted(path for path in folder.rglob("*") if path.suffix.lower() in (".png", ".jpg"))
    if not found:
        raise click.UsageError(f"{folder} has no .png or .jpg pictures")
    return found


def _finish(results: dict[str, Any], table: Any, out: Path | None) -> None:
    click.echo(table(results))
    if out is not None:
        machine = {
            "cpu": _cpu(),
            "python": platform.python_version(),
            "libraries": {name: version(name) for name in _LIBRARIES},
        }
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(json.dumps(results | {"machine": machine}, indent=1) + "\n", encoding="utf-8")


def _cpu() -> str:
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        if line.startswith("model name"):
            return line.split(":")[1].strip()
    return platform.processor()


if __name__ == "__main__":
    main()
