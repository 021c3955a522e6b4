"""Seconds and memory of the product's own: whole ``cray`` commands, and the stages within one.

``python -m benchmarks.measuring.clock WHAT INPUT OUTPUT COLOR`` prints seconds of each stage of one run, as
JSON; what is timed are the product's own functions, where they are called.
"""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

from benchmarks.codecs.ours import GUIDED
from benchmarks.measuring.stopwatch import Failed, line_of

ENCODING = ("reading", "lightness", "AVIF", "sampling", "grids", "container", "rest")
DECODING = ("loading", "container", "AVIF", "grids", "guided base", "network", "RGB", "PNG", "rest")
"""The stages; RGB is one of earlier versions, which made it apart from the network."""

_CRAY = """
import sys
from crayoncodec.commands.cray import main
try:
    main(sys.argv[1:])
finally:
    with open("/proc/self/status") as status:
        print(next(line for line in status if line.startswith("VmHWM")).split()[1], file=sys.stderr)
"""
"""The command, which says at its end what it has had at most; what its parent had does not count."""


def command(arguments: Sequence[Any]) -> tuple[float, float]:
    """Seconds and peak megabytes of a ``cray`` command. Raises Failed."""
    start = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-c", _CRAY, *map(str, arguments)], capture_output=True, text=True, check=False
    )
    seconds = time.monotonic() - start
    if done.returncode != 0:
        raise Failed(done.stderr.strip() or f"the process ended with {done.returncode}")
    return seconds, int(done.stderr.split()[-1]) * 1024 / 1e6


def stages(what: str, source: Path, target: Path, color: str) -> dict[str, float]:
    """Seconds of each stage of encoding or decoding a file, in a fresh process. Raises Failed.

    what: encode or decode. color: as of ``--color``, neural or guided.
    """
    return line_of("benchmarks.measuring.clock", [what, str(source), str(target), color])


class Clock:
    """Seconds of stages that may lie within each other: each has its own time only."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._open: list[str] = []
        self._since = 0.0

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """The block is this stage's, but for stages within it."""
        self._turn()
        self._open.append(name)
        try:
            yield
        finally:
            self._turn()
            self._open.pop()

    def _turn(self) -> None:
        now = time.perf_counter()
        if self._open:
            self.seconds[self._open[-1]] = self.seconds.get(self._open[-1], 0.0) + now - self._since
        self._since = now

    def timed(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """``function``, its calls being this stage; those of other threads lie within one that is."""

        def call(*arguments: Any, **options: Any) -> Any:
            if threading.current_thread() is not threading.main_thread():
                return function(*arguments, **options)
            with self.stage(name):
                return function(*arguments, **options)

        return call


def main(what: str, source: str, target: str, color: str) -> None:
    """The process: the product's own functions, timed where they are called."""
    clock = Clock()
    with ExitStack() as stack:

        def time_it(home: Any, name: str, stage: str) -> None:
            stack.enter_context(mock.patch.object(home, name, clock.timed(stage, getattr(home, name))))

        (_encode if what == "encode" else _decode)(Path(source), Path(target), color, clock, time_it)
    print(json.dumps(clock.seconds))


Time = Callable[[Any, str, str], None]


def _encode(source: Path, target: Path, _: str, clock: Clock, time_it: Time) -> None:
    from crayoncodec import codec
    from crayoncodec.color import cielab
    from crayoncodec.encoding import encoder
    from crayoncodec.files import images
    from crayoncodec.format import container, nested, planes

    time_it(images, "open_picture", "reading")
    time_it(cielab, "stored_lightness", "lightness")
    time_it(planes, "encode", "AVIF")
    time_it(planes, "decode", "AVIF")
    time_it(encoder.Encoder, "_cell_means", "sampling")
    time_it(nested, "encode", "grids")
    time_it(container, "pack", "container")
    with clock.stage("rest"):
        target.write_bytes(codec.encode(images.open_picture(source.read_bytes()), quality=80))


def _decode(source: Path, target: Path, color: str, clock: Clock, time_it: Time) -> None:
    from crayoncodec import codec
    from crayoncodec.files import saving
    from crayoncodec.format import container, decoding
    from crayoncodec.painting import recolorize

    data = source.read_bytes()
    decoder = codec.Decoder(color=color, device="cpu")  # type: ignore[arg-type]
    with clock.stage("loading"):
        network = None if color == GUIDED else decoder.network(nested=True)
    time_it(container, "unpack", "container")
    time_it(codec, "_lightness", "AVIF")
    time_it(decoding, "decode_grid", "grids")
    time_it(recolorize, "recolorize", "guided base")  # RGB is made band by band with it
    time_it(saving, "save_picture", "PNG")
    if network is not None:
        time_it(network, "outputs", "network")
    with clock.stage("rest"):
        target.write_bytes(saving.save_picture(decoder.picture(data), target.suffix))


if __name__ == "__main__":
    main(*sys.argv[1:])
