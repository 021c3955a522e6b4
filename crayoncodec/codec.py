"""Pictures <-> .cray bytes and files: the functions that the package exports."""

from __future__ import annotations

import os
import re
import shutil
import stat
import threading
import time
import warnings
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from functools import lru_cache, partial
from numbers import Integral, Real
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Final, Literal, TypedDict, Unpack, get_args

from crayoncodec import backends, container, forks
from crayoncodec.container import (
    DEFAULT_LIMITS,
    STEP_UNIT,
    CrayFile,
    GridChunk,
    Header,
    Limits,
    PlaneChunk,
    PlaneCoder,
    Sampling,
)
from crayoncodec.errors import CrayWarning, ImageError, LimitError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from PIL import Image

    from crayoncodec.grid import ColorGrid
    from crayoncodec.images import Picture
    from crayoncodec.recolorize import Backend

    U8 = NDArray[np.uint8]
    Buffer = bytes | bytearray | memoryview

Color = Literal["auto", "neural", "guided", "gray"]
COLORS: Final[tuple[Color, ...]] = get_args(Color)
DEFAULT_QUALITY: Final = 80
DEFAULT_EFFORT: Final = 5
_EXCLUDES: Final = {
    "n": ("color_quality", "max_delta_e", "target_size"),
    "max_delta_e": ("color_quality", "target_size"),
    "target_size": ("quality", "color_quality", "lossless"),
}
"""Options of ``encode`` and those that they take the place of."""
_TEMPORARY: Final = re.compile(r"\.cray-[0-9a-f]{16}\.tmp")
_DAY: Final = 24 * 60 * 60
"""Seconds."""
_RANGES: Final = (
    ("quality", 0, 100),
    ("color_quality", 0, 100),
    ("effort", 1, 9),
    ("n", container.MIN_SPACING, container.MAX_SPACING),
)


class EncodeOptions(TypedDict, total=False):
    """The options of ``encode``, for functions that pass them on."""

    n: int | None
    quality: int | None
    color_quality: int | None
    max_delta_e: float | None
    target_size: int | None
    lossless: bool
    sampling: Sampling
    lightness: PlaneCoder | None
    step: float | None
    effort: int
    strip: str | Collection[str]
    exif: bytes | Image.Exif | None
    icc_profile: bytes | None
    xmp: bytes | None
    limits: Limits


class DecodeOptions(TypedDict, total=False):
    """The options of ``decode``, likewise."""

    color: Color
    model: str | None
    backend: backends.Name
    device: backends.Device
    precision: backends.Precision
    levels: int | None
    limits: Limits


def encode(
    image: Any,
    *,
    n: int | None = None,
    quality: int | None = None,
    color_quality: int | None = None,
    max_delta_e: float | None = None,
    target_size: int | None = None,
    lossless: bool = False,
    sampling: Sampling = "mean",
    lightness: PlaneCoder | None = None,
    step: float | None = None,
    effort: int = DEFAULT_EFFORT,
    exif: bytes | Image.Exif | None = None,
    icc_profile: bytes | None = None,
    xmp: bytes | None = None,
    strip: str | Collection[str] = (),
    limits: Limits = DEFAULT_LIMITS,
) -> bytes:
    """Encode a picture. Colours are nested grids, or one grid if ``n`` is given.

    image: u8[H,W], u8[H,W,3], u8[H,W,4] (sRGB, straight alpha) or a PIL image, whose metadata is kept.
    quality: of the lightness plane, 0 to 100 on the coder's own scale; by default 80.
    color_quality: of nested grids, 0 to 100; by default the same as ``quality``, which balances them, or 90
    if ``lossless``.
    max_delta_e: in place of ``color_quality``, the CIEDE2000 that 95 % of the pixels may reach at most,
    measured on what is decoded without a network; where it takes that, ``quality`` is raised too.
    target_size: in place of both qualities, bytes that the file may have at most.
    lossless: keep the 8-bit lightness plane exactly.
    lightness: "avif", "webp" or "zstd" (lossless only); by default AVIF, or WebP if ``lossless``.
    n: spacing of one uniform colour grid (the paper's) in pixels, 1 to 65535.
    sampling: of that grid, "mean" of each cell, or "point": the paper's every n-th pixel.
    step: quantiser step of that grid's samples in CIELAB units, 1/256 to 255; by default 1.
    effort: 1 to 9. From 5 on the symbols of nested grids are chosen by what their bits cost. From 6 on cell
    means are fitted, so that guided upsampling comes closer to the picture; those of nested grids from 7 on
    to the default network instead, those of one grid at 9, which takes longest, where ``decode`` uses it by
    default. Points stay as they are. AVIF takes three times as long for 3 to 10 % fewer bytes from 7 on, and
    again as many at 9.
    strip: any of "exif", "xmp", "icc" and "gps", or "all", of the image's own metadata to leave out. The
    picture looks the same: pixels are turned as the orientation that goes said, and converted to sRGB by the
    profile that goes. "gps" takes the position out of EXIF and XMP and leaves the rest.
    exif, icc_profile, xmp: stored verbatim in place of the image's own; empty to leave them out.

    Returns the bytes of a .cray file. Raises ImageError (also for a ``target_size`` that is too small),
    LimitError, ValueError for an option out of range or beside one that it does not go with, TypeError for
    metadata that are not bytes.
    """
    from crayoncodec import grid, images
    from crayoncodec.encoder import LOSSLESS_COLOR, Encoder, Qualities, encode_alpha

    check_options(
        n=n, quality=quality, color_quality=color_quality, max_delta_e=max_delta_e, target_size=target_size,
        lossless=lossless, sampling=sampling, lightness=lightness, step=step, effort=effort,
    )  # fmt: skip
    if isinstance(image, str | bytes | os.PathLike) or hasattr(image, "read"):
        raise ImageError(
            f"image is {type(image).__name__}, expected an array or a PIL image, as PIL.Image.open gives"
        )
    container.check_limits(limits)
    given = _given_metadata(exif=exif, icc_profile=icc_profile, xmp=xmp)
    picture = images.from_any(image, limits)
    if strip:
        picture = images.stripped(picture, strip)
    metadata = picture.metadata | given
    size = sum(map(len, metadata.values()))
    if size > limits.metadata:
        raise LimitError(f"metadata has {size} bytes, the limit is {limits.metadata}")
    height, width = picture.rgb.shape[:2]
    alpha = None if picture.alpha is None else encode_alpha(picture.alpha)
    coder = Encoder(picture, lightness, bool(lossless), effort)

    def whole(plane: PlaneChunk, grids: tuple[GridChunk, ...]) -> bytes:
        kept = {name: value for name, value in metadata.items() if value}
        return container.pack(CrayFile(Header(width, height, len(grids)), plane, grids, alpha, kept))

    chosen = DEFAULT_QUALITY if quality is None else int(quality)
    if n is not None:
        plane = coder.lightness(chosen)
        return whole(
            plane.chunk,
            coder.grid(plane.shown, int(n), sampling, grid.DEFAULT_STEP if step is None else float(step)),
        )
    if target_size is not None:
        rest = len(whole(PlaneChunk("zstd", b""), ()))
        qualities = coder.for_size(int(target_size), rest, container.GRID_FRAMING)
    elif max_delta_e is not None:
        qualities = coder.for_error(chosen, float(max_delta_e))
    else:
        tied = LOSSLESS_COLOR if lossless else chosen
        qualities = Qualities(chosen, tied if color_quality is None else int(color_quality))
    return whole(coder.lightness(qualities.lightness).chunk, coder.nested_chunks(qualities))


def _given_metadata(**given: bytes | Image.Exif | None) -> dict[str, bytes]:
    """What is not None as it is kept. Raises TypeError."""
    from PIL import Image

    from crayoncodec import metadata as meta

    kept = {}
    for name, value in given.items():
        if value is None:
            continue
        if not isinstance(value, bytes | bytearray | memoryview) and not (
            name == "exif" and isinstance(value, Image.Exif)
        ):
            raise TypeError(f"{name} is {type(value).__name__}, expected bytes")
        if name == "exif":
            kept[name] = meta.exif_bytes(value)
        else:
            kept[name] = meta.utf8(bytes(value)) if name == "xmp" else bytes(value)
    return kept


def decode(
    data: Buffer,
    *,
    color: Color = "auto",
    model: str | None = None,
    backend: backends.Name = "auto",
    device: backends.Device = "auto",
    precision: backends.Precision = "auto",
    levels: int | None = None,
    limits: Limits = DEFAULT_LIMITS,
) -> U8:
    """Decode a .cray file to sRGB u8[H,W,3], or u8[H,W,4] if it has alpha. Orientation is not applied.

    color: "neural" recolorizes with a network, "guided" without one, "auto" with one where it is expected to
    bring 0.05 dB of AB PSNR, or where a ``model`` is named. "gray" shows the lightness only (and opens files
    whose grid or metadata is damaged, with a CrayWarning).
    model: an installed checkpoint's name or the path of a .safetensors file; by default the network
    for nested grids, or the compact one for a file of one grid.
    backend: what runs the network, "opencv", "torch", "openvino" or "onnx"; by default torch on a CUDA
    device, else openvino or onnx if they are installed, else opencv, and torch for a network without a graph.
    device: "auto", "cpu" or "cuda".
    precision: of the network, "float32", "float16", "bfloat16" or "int8"; by default float16 on CUDA, float32
    elsewhere.
    levels: of nested colour grids decode only so many, from the coarsest on; all by default.

    Raises FormatError, LimitError, CheckpointError, DeviceError, TypeError for what is not bytes, and
    ValueError for an option that is not known or does not go with another. For many files use a Decoder.
    """
    decoder = Decoder(
        color=color, model=model, backend=backend, device=device, precision=precision, levels=levels,
        limits=limits,
    )  # fmt: skip
    return decoder.decode(data)


def read(path: str | os.PathLike[str], **options: Unpack[DecodeOptions]) -> U8:
    """``decode`` the file at ``path``."""
    return decode(Path(path).read_bytes(), **options)


def write(path: str | os.PathLike[str], image: Any, **options: Unpack[EncodeOptions]) -> None:
    """``encode`` a picture into the file at ``path``, which is replaced whole or not at all."""
    data = encode(image, **options)
    with atomic_write(Path(path)) as stream:
        stream.write(data)


def is_cray(data: Buffer) -> bool:
    """Whether bytes begin like a .cray file; eight of them are enough."""
    return _bytes(data, len(container.MAGIC)) == container.MAGIC


class Decoder:
    """Decodes many files with one network, loaded at the first picture that needs it.

    Threads may share one: each gets what it would get alone. It can be pickled, copied and used in a forked
    process, where the network is loaded anew; torch then computes in one thread, and OpenVINO, if it had been
    loaded before, not at all: ``backend="auto"`` takes another.
    """

    def __init__(
        self,
        *,
        color: Color = "auto",
        model: str | None = None,
        backend: backends.Name = "auto",
        device: backends.Device = "auto",
        precision: backends.Precision = "auto",
        levels: int | None = None,
        limits: Limits = DEFAULT_LIMITS,
    ) -> None:
        """Options as for ``decode``. Raises ValueError for one that is out of range or excludes another."""
        if color not in COLORS:
            raise ValueError(f"color is {color!r}, expected one of {', '.join(COLORS)}")
        backends.check_options(backend, device, precision)
        if levels is not None and not (_is_number(levels, Integral) and levels >= 1):
            raise ValueError(f"levels is {levels}, expected 1 or more, a whole number")
        if not isinstance(model, str | os.PathLike | None):
            raise TypeError(f"model is {model!r}, expected the name of a checkpoint or the path of one")
        container.check_limits(limits)
        self.color = "neural" if color == "auto" and model is not None else color
        self.limits = limits
        self.levels = None if levels is None else int(levels)
        self._model = model
        self._load = partial(backends.load, backend=backend, device=device, precision=precision)
        self._networks: dict[tuple[int, str, bool], Backend] = {}

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_networks": {}}

    def decode(self, data: Buffer) -> U8:
        """As the function ``decode``."""
        return self.picture(data).array()

    def picture(self, data: Buffer) -> Picture:
        """As ``decode``, with alpha and metadata apart."""
        from crayoncodec import memory
        from crayoncodec.images import Picture
        from crayoncodec.recolorize import recolorize

        file = container.unpack(_bytes(data), self.limits, salvage=self.color == "gray")
        for damage in file.damaged:
            warnings.warn(f"left out: {damage}", CrayWarning, stacklevel=2)
        lightness = decode_lightness(file)
        grid = decode_grid(file, lightness, self.levels) if self.color != "gray" else None
        memory.trim(lightness.size)
        backend = self.network(grid.is_nested) if grid is not None and self._paints(grid) else None
        return Picture(recolorize(lightness, grid, backend), decode_alpha(file), file.metadata)

    def _paints(self, grid: ColorGrid) -> bool:
        """Whether a network is to be used. With a sample for every pixel nothing is left to paint."""
        from crayoncodec.recolorize import pays

        return pays(grid.spacing) if self.color == "auto" else self.color == "neural" and grid.spacing > 1

    def network(self, nested: bool) -> Backend:
        """The network for a picture of nested grids, or of one; loaded at the first call.

        Raises CheckpointError, for a network that is for other files, too, DeviceError, MemoryError.
        """
        from crayoncodec import checkpoints

        name = self._model or (checkpoints.DEFAULT_NESTED if nested else checkpoints.DEFAULT)
        process = os.getpid()
        with _loading:
            if (process, name, nested) not in self._networks:
                checkpoints.read_card(checkpoints.find(name)).check_grids(nested)
                same = self._networks.get((process, name, not nested))
                self._networks[process, name, nested] = self._load(name) if same is None else same
            return self._networks[process, name, nested]


_loading = threading.Lock()
"""One thread at a time loads a network, and the others find it there."""


def _renew() -> None:
    global _loading  # noqa: PLW0603 - a forked process has one of its own
    _loading = threading.Lock()


forks.in_children(_renew)


def verify(data: Buffer, limits: Limits = DEFAULT_LIMITS) -> None:
    """Check all checksums and decode lightness, grids and alpha.

    Raises FormatError, LimitError, TypeError for what is not bytes.
    """
    file = container.unpack(_bytes(data), limits)
    decode_grid(file, decode_lightness(file))
    decode_alpha(file)


def level_sizes(data: Buffer, limits: Limits = DEFAULT_LIMITS) -> list[float]:
    """Bytes that the symbols of each level of nested grids take, from the coarsest on; none for other files.

    Chunks hold several levels, so this decodes lightness and grids; bytes are what symbols cost under the
    tables that they are coded with. Raises FormatError, LimitError.
    """
    from crayoncodec.codestreams import nested

    file = container.unpack(_bytes(data), limits)
    if not file.is_nested:
        return []
    sizes: dict[int, float] = {}
    nested.decode(file.grids, decode_lightness(file), sizes=sizes)
    return [sizes[spacing] for spacing in sorted(sizes, reverse=True)]


def _bytes(data: Buffer, most: int | None = None) -> bytes:
    """A bytes-like object's first bytes, all by default. Raises TypeError for anything else."""
    try:
        return bytes(memoryview(data)[:most])
    except TypeError:
        raise TypeError(
            f"data is {type(data).__name__}, expected the bytes of a .cray file; read(path) takes its path"
        ) from None


def decode_lightness(file: CrayFile) -> U8:
    """The stored lightness plane, u8[H,W]: the same on every machine. Raises FormatError."""
    return _decode_plane(file.lightness, file.header.shape, "lightness plane")


def decode_alpha(file: CrayFile) -> U8 | None:
    """The alpha plane, u8[H,W], if there is one. Raises FormatError."""
    return None if file.alpha is None else _decode_plane(file.alpha, file.header.shape, "alpha plane")


def decode_grid(file: CrayFile, lightness: U8, levels: int | None = None) -> ColorGrid | None:
    """The colour grid, None for a grey picture: the same on every machine. Raises FormatError.

    lightness: the stored plane, u8[H,W], from which nested grids are predicted. levels: of those decode only
    so many, from the coarsest on.
    """
    from crayoncodec.codestreams import grids, nested
    from crayoncodec.grid import ColorGrid

    if not file.grids:
        return None
    if file.is_nested:
        samples, spacing = nested.decode(file.grids, lightness, levels)
        return ColorGrid(samples, spacing, "mean", 1 / STEP_UNIT, file.grids[-1].step / STEP_UNIT)
    (chunk,) = file.grids
    shape = container.grid_shape(file.header.height, file.header.width, chunk.spacing)
    samples = grids.decode(chunk.payload, chunk.coder, shape, "colour grid")
    return ColorGrid(samples, chunk.spacing, chunk.sampling, chunk.step / STEP_UNIT)


@contextmanager
def atomic_write(path: Path, scratch: Path | None = None) -> Iterator[IO[bytes]]:
    """A stream whose bytes appear at ``path`` when the block ends well, and nowhere otherwise.

    Links are followed, and a file that is replaced passes its permissions on.
    What a process that was killed left in the folder of ``path`` is removed a day later.
    scratch: a folder of the same file system for what is not whole yet; by default that of ``path``.
    """
    path = path.resolve()
    _sweep(path.parent)
    temporary = (scratch or path.parent) / f".cray-{os.urandom(8).hex()}.tmp"
    try:
        with temporary.open("xb") as stream:
            yield stream
        if path.exists():
            shutil.copymode(path, temporary)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


@lru_cache(maxsize=1024)
def _sweep(folder: Path) -> None:
    """Once for each process: remove what atomic_write left in a folder more than a day ago."""
    with suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            if _TEMPORARY.fullmatch(entry.name):
                with suppress(OSError):
                    status = entry.stat(follow_symlinks=False)
                    if stat.S_ISREG(status.st_mode) and time.time() - status.st_mtime > _DAY:
                        Path(entry.path).unlink()


def _decode_plane(chunk: PlaneChunk, shape: tuple[int, int], what: str) -> U8:
    from crayoncodec.codestreams import planes

    return planes.decode(chunk.payload, chunk.coder, shape, what)


def check_options(**given: Any) -> None:
    """Raise ValueError for an option of ``encode`` that is out of range, or beside one that it excludes."""
    _check_numbers(given)
    if given.get("lossless", False) not in (True, False):
        raise ValueError(f"lossless is {given['lossless']!r}, expected True or False")
    if given.get("lightness") not in (None, *container.PLANE_CODERS):
        raise ValueError(
            f"lightness is {given['lightness']!r}, expected one of {', '.join(container.PLANE_CODERS)}"
        )
    if given.get("sampling", "mean") not in container.SAMPLINGS:
        raise ValueError(
            f"sampling is {given['sampling']!r}, expected one of {', '.join(container.SAMPLINGS)}"
        )
    if given.get("n") is None:
        for name, default in (("sampling", "mean"), ("step", None)):
            if given.get(name, default) != default:
                raise ValueError(f"{name} is of one grid, expected n with it")
    for one, others in _EXCLUDES.items():
        if given.get(one) is not None:
            for other in others:
                if given.get(other) is not None and given[other] is not False:
                    raise ValueError(f"{one} does not go with {other}, expected one of them")


def _check_numbers(given: dict[str, Any]) -> None:
    """The part of ``check_options`` that is of numbers; numpy's are taken, True and False are none."""
    for name, least, most in _RANGES:
        value = given.get(name)
        if value is None and name == "effort" and name in given:
            raise ValueError("effort is None, expected a whole number of 1 to 9")
        if value is not None and not (_is_number(value, Integral) and least <= value <= most):
            raise ValueError(f"{name} is {value}, expected a whole number of {least} to {most}")
    for name, kind, what in (
        ("max_delta_e", Real, "more than 0"), ("step", Real, "more than 0"),
        ("target_size", Integral, "more than 0 bytes, a whole number"),
    ):  # fmt: skip
        value = given.get(name)
        if value is not None and not (_is_number(value, kind) and value > 0):
            raise ValueError(f"{name} is {value}, expected {what}")


def _is_number(value: object, kind: type) -> bool:
    return isinstance(value, kind) and not isinstance(value, bool)
