"""``cray batch encode`` and ``cray batch decode``: options in, lines out."""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NoReturn

import click

from crayoncodec import errors
from crayoncodec.commands import decode, encode, options
from crayoncodec.errors import CrayError
from crayoncodec.files import streams

if TYPE_CHECKING:
    from crayoncodec.batch.execution import Batch, Engine
    from crayoncodec.batch.sources import Sources
    from crayoncodec.batch.totals import Totals
    from crayoncodec.files.jobs import Convert, Outcome

_SHOWN: Final = 10
"""Failures that are printed; the report has all."""
_OF_FILES: Final = (
    "inputs", "output", "output_format", "recursive", "workers", "overwrite", "as_json", "quiet",
)  # fmt: skip
"""Parameters of the commands for single files that a batch has of its own, or has not."""
_SAME_OUTPUT: Final = ("device", "model", "max_pixels")
"""Options that change how outputs are made, but not what they are; networks are known by their SHA-256."""


@dataclass(frozen=True)
class Conversion:
    """One of the two, as the command for single files has it."""

    command: click.Command
    """Whose options a batch has, too."""
    extension: str
    accepts: Callable[[Path], bool]
    prepare: Callable[..., Convert]
    """Options -> the conversion, picklable. Raises click.UsageError."""
    networks: Callable[..., Sequence[str]]
    """Options -> checkpoints that outputs depend on."""


_BATCH_OPTIONS: Final[list[click.Parameter]] = [
    click.Argument(["source"], metavar="SRC", shell_complete=options.paths),
    click.Argument(["destination"], metavar="DST", shell_complete=options.paths),
    click.Option(
        ["-j", "--jobs", "workers"], type=click.IntRange(1),
        help="Pictures at a time.  [default: cores; those of all machines with ray]",
    ),
    click.Option(
        ["--engine"], type=click.Choice(["local", "ray"]), default="local", show_default=True,
        help="Processes of this machine, or Ray Data on one or many.",
    ),
    click.Option(
        ["--ray-address"], metavar="ADDRESS",
        help="Of a Ray cluster.  [default: $RAY_ADDRESS; Ray is started here where there is none]",
    ),
    click.Option(
        ["--gpus-per-actor"], type=click.FloatRange(0, min_open=True), metavar="X",
        help="With --engine ray: share of a GPU that each has.  [default: 1 with --device cuda, else none]",
    ),
    click.Option(
        ["--state"], type=click.Path(file_okay=False, path_type=Path), metavar="FOLDER",
        help="Where it is kept what is done.  [default: DST/.cray-batch]",
    ),
    click.Option(
        ["--report"], type=click.Path(dir_okay=False, path_type=Path), metavar="FILE",
        help="JSON Lines with all failures, and totals.  [default: report.jsonl in that folder]",
    ),
    click.Option(
        ["--verify-outputs", "verify"], is_flag=True,
        help="Know outputs of before by their SHA-256, not only by their size.",
    ),
    click.Option(
        ["--overwrite"], is_flag=True, help="Replace outputs that were there before the first run."
    ),
    click.Option(["--json", "as_json"], is_flag=True, help="Print the totals as JSON."),
    click.Option(["--quiet"], is_flag=True, help="Print nothing but errors."),
]  # fmt: skip


def _command(
    name: str, conversion: Conversion, more: list[click.Parameter], example: str, does: str
) -> click.Command:
    own = [parameter for parameter in conversion.command.params if parameter.name not in _OF_FILES]
    return click.Command(
        name,
        params=[*_BATCH_OPTIONS[:2], *own, *more, *_BATCH_OPTIONS[2:]],
        callback=partial(_run, name, conversion),
        help=f"{does} below SRC into the folder DST, whose tree is that of SRC.\n\n"
        "SRC: a folder, or a list of files: paths, one to a line, or JSON Lines with a source and perhaps a "
        "target. Both may be URLs (s3://, gs://, file://) with crayoncodec[ray]. The same command again does "
        "what is not done yet, failed, or has changed.",
        epilog=f"Example: cray batch {name} {example}",
    )


def _run(
    name: str, conversion: Conversion, *, source: str, destination: str, workers: int | None, engine: str,
    ray_address: str | None, gpus_per_actor: float | None, state: Path | None, report: Path | None,
    verify: bool, overwrite: bool, as_json: bool, quiet: bool, extension: str | None = None,
    keep_extension: bool = False, **options: Any,
) -> None:  # fmt: skip
    from crayoncodec.batch import execution, places, sources
    from crayoncodec.files import formats

    if extension is None:
        extension = conversion.extension
    else:
        extension = "." + extension.removeprefix(".")
        try:
            formats.written(extension)
        except CrayError as error:
            raise click.UsageError(f"--{error}, expected one like .png") from error
    if engine != "ray" and (ray_address is not None or gpus_per_actor is not None):
        raise click.UsageError("--ray-address and --gpus-per-actor are for --engine ray")
    if options.get("model") is not None and Path(options["model"]).is_file():
        options["model"] = str(Path(options["model"]).absolute())  # for processes elsewhere
    convert = conversion.prepare(**options)
    try:
        asked = execution.Batch(
            sources.find(source, extension, conversion.accepts, keep_extension),
            places.place(destination), convert, _about(name, conversion, options),
            state, report, overwrite, verify,
        )  # fmt: skip
        chosen = _engine(engine, workers, ray_address, gpus_per_actor, options.get("device"))
        with _progress(asked.sources, quiet) as watch:
            totals = execution.run(asked, chosen, watch)
    except (CrayError, OSError) as error:
        place = f"{error.filename}: " if isinstance(error, OSError) and error.filename else ""
        streams.say(f"cray: batch: {place}{errors.one_line(error)}", err=True)
        sys.exit(errors.code_of(error))
    except KeyboardInterrupt:
        streams.say("cray: batch: interrupted; the same command goes on from here", err=True)
        sys.exit(errors.EXIT_INTERRUPTED)
    _finish(asked, totals, as_json, quiet)


def _about(name: str, conversion: Conversion, options: dict[str, Any]) -> dict[str, Any]:
    """What outputs depend on besides their sources. Raises CheckpointError."""
    from crayoncodec.painting import checkpoints

    networks = [
        checkpoints.read_card(checkpoints.find(network)) for network in conversion.networks(**options)
    ]
    return {
        "command": name,
        "options": {key: value for key, value in options.items() if key not in _SAME_OUTPUT},
        "networks": {card.name: card.sha256 for card in networks},
    }


def _engine(
    engine: str, workers: int | None, address: str | None, gpus: float | None, device: str | None
) -> Engine:
    from crayoncodec.batch import execution, on_ray
    from crayoncodec.files import pool

    if engine == "local":
        return execution.local(workers or pool.cores())
    return on_ray.engine(workers, address, float(device == "cuda") if gpus is None else gpus)


@contextmanager
def _progress(sources: Sources, quiet: bool) -> Iterator[Callable[[Outcome], None]]:
    """A bar where a person watches, and the first failures."""
    from tqdm import tqdm

    failed = 0
    with tqdm(disable=True if quiet else None, unit=" files", smoothing=0.05, dynamic_ncols=True) as bar:

        def count() -> None:
            with suppress(CrayError, OSError):  # which the batch itself comes upon, too
                bar.total = sum(1 for job in sources.listed() if job is not None)

        def watch(outcome: Outcome) -> None:
            nonlocal failed
            bar.update()
            if outcome.error is None:
                return
            failed += 1
            bar.set_postfix_str(f"{failed} failed", refresh=False)
            if failed <= _SHOWN:
                with tqdm.external_write_mode():
                    streams.say(f"cray: {outcome.job.source}: {outcome.error}", err=True)

        if not bar.disable:
            threading.Thread(target=count, daemon=True).start()
        yield watch


def _finish(asked: Batch, totals: Totals, as_json: bool, quiet: bool) -> NoReturn:
    from crayoncodec.files import jobs

    found = totals.summary()
    if not totals.done + totals.skipped + totals.failed:
        raise click.UsageError("nothing to do: SRC has no file that this command takes")
    if totals.failed:
        shown = f", the first {_SHOWN} are above" if totals.failed > _SHOWN else ""
        streams.say(f"cray: batch: {totals.failed:,} failed{shown}: see {asked.report_path}", err=True)
    if as_json:
        streams.say(json.dumps(found))
    elif not quiet:
        left_out = f", {totals.left_out:,} left out ({jobs.CLUTTER})" if totals.left_out else ""
        streams.say(
            f"{totals.done:,} done, {totals.skipped:,} done before, {totals.failed:,} failed{left_out}: "
            f"{totals.input_bytes:,} -> {totals.output_bytes:,} bytes ({100 * found['ratio']:.1f} %), "
            f"{totals.pixels / 1e6:,.1f} MP; {found['seconds']:,.1f} s, "
            f"{found['files_per_s']:,.2f} files/s, {found['megapixels_per_s']:,.2f} MP/s"
        )
    sys.exit(errors.EXIT_SOME_FAILED if totals.failed else errors.EXIT_DONE)


_ENCODE: Final = Conversion(encode.encode, ".cray", options.is_picture, encode.encoder, encode.networks)
_DECODE: Final = Conversion(decode.decode, ".png", options.is_cray_name, decode.decoder, decode.networks)
_EXTENSION: Final = click.Option(
    ["--extension"],
    default=_DECODE.extension,
    show_default=True,
    help="Of the outputs, and so their format.",
)

batch = click.Group(
    "batch",
    commands=[
        _command("encode", _ENCODE, [], "photos/ archive/ -q 80", "Encode the pictures"),
        _command(
            "decode", _DECODE, [_EXTENSION], "archive/ photos/ --extension .webp", "Decode the .cray files"
        ),
    ],
    help="Convert whole archives, and go on where it was interrupted.",
    epilog="Example: cray batch encode photos/ archive/",
    context_settings={"help_option_names": ["-h", "--help"]},
)
