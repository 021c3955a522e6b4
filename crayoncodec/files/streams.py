"""Standard streams: lines for people, bytes for pipes. What is wrong with one is told in a line, at the end.

A stream may be closed, full, without a reader, or of an encoding that names and our own text do not fit.
"""

from __future__ import annotations

import codecs
import io
import os
import select
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Final

from crayoncodec.errors import EXIT_SOME_FAILED

_ERRORS: Final = "crayoncodec"
_CONTROL: Final = {
    code: ascii(chr(code))[1:-1] for code in (*range(0x20), *range(0x7F, 0xA0)) if code != ord("\t")
}
_lost: list[OSError] = []
"""Why lines did not get to standard output."""


@contextmanager
def standard() -> Iterator[None]:
    """The streams of a command that prints by ``say``. Ends in exit code 1 if lines could not be printed."""
    _lost.clear()
    _open_closed()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors=_ERRORS)
    code: object = None
    try:
        yield
    except SystemExit as end:
        code = end.code
        raise
    except OSError as error:
        # Of what click prints itself, or of nothing that a command expected.
        _settle()
        if not _lost:
            say(f"cray: {error.strerror or error}", err=True)
            sys.exit(EXIT_SOME_FAILED)
    finally:
        _settle()
        if _lost and not code:
            if not reader_left():
                say(f"cray: standard output: {_lost[0].strerror}", err=True)
            _settle()
            sys.exit(EXIT_SOME_FAILED)


def say(line: str, *, err: bool = False) -> None:
    """Print a line to standard output, or to standard error. Never raises for what is wrong with the stream.

    Control characters in it, which names may have, are escaped, and so is what the stream's encoding lacks.
    """
    stream = sys.stderr if err else sys.stdout
    try:
        stream.write(line.translate(_CONTROL) + "\n")
        stream.flush()
    except OSError as error:
        if not err:
            _lost.append(error)


def fits(text: str) -> bool:
    """Whether standard output can hold text as it is."""
    try:
        text.encode(sys.stdout.encoding)
    except UnicodeEncodeError:
        return False
    return True


def write(data: bytes) -> None:
    """Write all of ``data`` to standard output, past any buffer. Raises OSError."""
    sys.stdout.flush()
    stream = getattr(sys.stdout.buffer, "raw", sys.stdout.buffer)
    left = memoryview(data)
    try:
        while left:
            count = stream.write(left)
            if count is None:  # a pipe that does not block
                select.select([], [stream], [])
            left = left[count or 0 :]
    except BrokenPipeError as error:
        _lost.append(error)
        raise


def reader_left() -> bool:
    """Whether the reader of standard output is gone, which other tools end at without a word."""
    return any(isinstance(error, BrokenPipeError) for error in _lost)


def _open_closed() -> None:
    """Give closed streams a descriptor, so that no file gets theirs, and have their use fail as it should."""
    for descriptor, mode in enumerate((os.O_WRONLY, os.O_RDONLY, os.O_WRONLY)):
        try:
            os.fstat(descriptor)
        except OSError:
            # In the wrong direction, except for errors, which nobody is to see.
            null = os.open(os.devnull, mode)
            os.dup2(null, descriptor)
            os.set_inheritable(descriptor, True)
            if null != descriptor:
                os.close(null)
    for descriptor, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:
            stream = open(descriptor, "w" if descriptor else "r", encoding="utf-8", closefd=False)  # noqa: SIM115
            setattr(sys, name, stream)


def _settle() -> None:
    """Flush; what cannot be printed is dropped, so that Python does not try again at its end."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError as error:
            if stream is sys.stdout:
                _lost.append(error)
            with suppress(OSError):
                null = os.open(os.devnull, os.O_WRONLY)
                os.dup2(null, stream.fileno())
                os.close(null)
                stream.flush()


def _fitting(error: UnicodeError) -> tuple[str | bytes, int]:
    """A character that an encoding lacks: names as the system has them, or else in ASCII."""
    assert isinstance(error, UnicodeEncodeError)
    character = error.object[error.start]
    code, encoding = ord(character), codecs.lookup(error.encoding).name
    own = encoding != "ascii" and encoding == codecs.lookup(sys.getfilesystemencoding()).name
    if own and 0xDC80 <= code <= 0xDCFF:
        return bytes([code - 0xDC00]), error.start + 1
    return ascii(character)[1:-1], error.start + 1


codecs.register_error(_ERRORS, _fitting)
