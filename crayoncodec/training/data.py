"""Pictures -> a memory-mapped file of LAB squares, made once and made again when its sources change."""

from __future__ import annotations

import hashlib
import json
import lzma
import tarfile
import warnings
import zlib
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from crayoncodec.color import cielab
from crayoncodec.errors import CrayError, TrainingError
from crayoncodec.files import atomic, formats, images
from crayoncodec.format import planes as plane_coders
from crayoncodec.format.chunks import PlaneCoder
from crayoncodec.machine import threads

UNIT: Final = 256
"""Cached planes are i16 in 1/256 of a CIELAB unit."""
PLANES: Final = ("lightness", "a", "b", "lossy lightness")
_FORMAT: Final = 2
_LOSSY_QUALITIES: Final = (25, 95)
_LOSSY_CODERS: Final[tuple[PlaneCoder, ...]] = ("avif", "avif", "webp")
"""The default coder twice as often as the other one."""
_DAMAGES: Final = (tarfile.TarError, EOFError, zlib.error, lzma.LZMAError)
"""What opening and reading a pack raises, whatever it is compressed with."""
_LEAST_COLOR: Final = 1.0
"""Squares with mean |a*| and mean |b*| under this are grey."""
_AT_ONCE: Final = 64
"""Pictures that are read before their squares are made, by as many threads as there are."""

Squares = NDArray[np.int16]
"""i16[N,4,side,side]: PLANES of every square, in 1/UNIT."""


@dataclass(frozen=True)
class Dataset:
    """Squares of pictures, and what was left out."""

    squares: Squares
    skipped: dict[str, int]
    """Reason -> how many pictures."""

    def describe(self) -> str:
        """One line."""
        left_out = ", ".join(f"{count} {reason}" for reason, count in self.skipped.items() if count)
        return f"{len(self.squares)} pictures" + (f"; left out: {left_out}" if left_out else "")


def open_dataset(
    sources: Collection[Path], path: Path, side: int, without: Collection[str] = (), seed: int = 0,
    lossy: bool = True,
) -> Dataset:  # fmt: skip
    """The squares of side x side pixels from the middle of every picture in ``sources``, kept at ``path``.

    sources: folders (any layout) and tar packs. without: names (or ends of names) of pictures to leave out.
    lossy: whether lossy lightness is wanted; without it that plane is the exact one again, sooner made.
    What is at ``path`` is used as it is if it was made of the same files in the same way. Pictures that
    are smaller, unreadable or grey are left out and counted. Raises TrainingError, OSError.
    """
    made_of = _fingerprint(sources, side, without, seed, lossy)
    about = path.with_suffix(".json")
    try:
        known = json.loads(about.read_text(encoding="utf-8"))
        if known["made_of"] == made_of:
            return Dataset(_mapped(path, known["count"], side), known["skipped"])
    except (OSError, ValueError, LookupError, TypeError):
        pass  # there is none, or it was cut short
    skipped = dict.fromkeys(("unreadable", "too small", "grey", "excluded"), 0)
    count = 0
    with atomic.atomic_write(path) as stream:
        for square in _squares(sources, side, without, seed, lossy, skipped):
            stream.write(square.tobytes())
            count += 1
    if not count:
        path.unlink()
        raise TrainingError(
            f"no usable picture of at least {side} x {side} pixels in {', '.join(map(str, sources))}"
        )
    with atomic.atomic_write(about) as stream:
        stream.write(json.dumps({"made_of": made_of, "count": count, "skipped": skipped}).encode())
    return Dataset(_mapped(path, count, side), skipped)


def held_out(squares: Squares, share: float, seed: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Indices for training and for validation, drawn once by ``seed``; at least one each."""
    order = np.random.default_rng(seed).permutation(len(squares))
    count = min(max(1, round(share * len(order))), len(order) - 1)
    if count < 1:
        raise TrainingError("one picture cannot be split, expected --validation")
    return np.sort(order[count:]), np.sort(order[:count])


def pictures(sources: Iterable[Path]) -> Iterator[tuple[str, bytes | None]]:
    """Names and contents of all pictures in folders and tar packs, in sorted order; None if unreadable."""
    for source in sources:
        if source.is_dir():
            for path in _files(source):
                try:
                    yield str(path), path.read_bytes()
                except OSError:
                    yield str(path), None
        else:
            yield from _packed(source)


def _packed(pack: Path) -> Iterator[tuple[str, bytes | None]]:
    try:
        tar = tarfile.open(pack)  # noqa: SIM115 - what fails later is another thing
    except _DAMAGES as error:
        raise TrainingError(f"{pack} is neither a folder nor a tar pack") from error
    with tar:
        try:
            for member in tar:
                if member.isfile() and _is_picture(member.name):
                    stream = tar.extractfile(member)
                    yield f"{pack}:{member.name}", None if stream is None else stream.read()
        except (*_DAMAGES, OSError):
            yield str(pack), None  # cut off: what came before is used


class _Given(NamedTuple):
    """A picture to make a square of."""

    data: bytes | None
    side: int
    lossy: tuple[PlaneCoder, int] | None
    """Coder and quality of its lossy lightness."""


def _squares(
    sources: Collection[Path], side: int, without: Collection[str], seed: int, lossy: bool,
    skipped: dict[str, int],
) -> Iterator[Squares]:  # fmt: skip
    rng = np.random.default_rng(seed)

    def given() -> Iterator[_Given]:
        for name, data in tqdm(pictures(sources), desc="decoding pictures", unit=" pictures"):
            if any(name.endswith(end) for end in without):
                skipped["excluded"] += 1
                continue
            coder = _LOSSY_CODERS[rng.integers(len(_LOSSY_CODERS))]
            coded = coder, int(rng.integers(*_LOSSY_QUALITIES))
            yield _Given(data, side, coded if lossy else None)

    waiting = given()
    with warnings.catch_warnings():  # of the process, so not in each thread
        warnings.simplefilter("ignore")
        while some := [*islice(waiting, _AT_ONCE)]:
            for square in threads.each(_square, some):
                if isinstance(square, str):
                    skipped[square] += 1
                else:
                    yield square


def _square(given: _Given) -> Squares | str:
    """A picture's square, or why there is none."""
    data, side, lossy = given
    try:
        if data is None:
            raise OSError
        rgb = images.open_rgb(data)
    except (CrayError, OSError):
        return "unreadable"
    height, width = rgb.shape[:2]
    if min(height, width) < side:
        return "too small"
    top, left = (height - side) // 2, (width - side) // 2
    lightness, ab = cielab.rgb_to_lab(rgb[top : top + side, left : left + side])
    if np.abs(ab).mean(axis=(1, 2)).max() < _LEAST_COLOR:
        return "grey"
    plane = cielab.lightness_to_u8(lightness)
    shown = plane
    if lossy is not None:
        coder, quality = lossy
        coded = plane_coders.encode(plane, coder, quality)
        shown = plane_coders.decode(coded, coder, plane.shape, "lightness")
    exact, after = cielab.lightness_from_u8(plane), cielab.lightness_from_u8(shown)
    square: Squares = np.rint(np.stack([exact, *ab, after]) * UNIT).astype(np.int16)
    return square


def _fingerprint(
    sources: Collection[Path], side: int, without: Collection[str], seed: int, lossy: bool
) -> str:
    """SHA-256 of what a cache depends on: names, sizes and times of the files, and how they are cut."""
    digest = hashlib.sha256(repr((_FORMAT, side, seed, sorted(without), lossy)).encode())
    for source in sources:
        for path in _files(source) if source.is_dir() else [source]:
            try:
                status = path.stat()
            except OSError:
                about = repr(str(path))  # reading it will tell
            else:
                about = repr((str(path), status.st_size, status.st_mtime_ns))
            digest.update(about.encode("utf-8", "surrogateescape"))
    return digest.hexdigest()


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if _is_picture(path.name) and _is_file(path))


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # a link into what is closed: it is unreadable
        return True


def _is_picture(name: str) -> bool:
    return formats.reads(Path(name).suffix)


def _mapped(path: Path, count: int, side: int) -> Squares:
    shape = (count, len(PLANES), side, side)
    if path.stat().st_size != 2 * np.prod(shape):
        raise ValueError(f"{path} is cut short")
    return np.memmap(path, np.int16, "r", shape=shape)
