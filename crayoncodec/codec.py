"""Pictures <-> .cray bytes and files: the functions that the package exports."""

from __future__ import annotations

import os
import shutil
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Final, Literal, get_args

from crayoncodec import container
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
from crayoncodec.errors import CrayWarning, LimitError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from PIL import Image

    from crayoncodec.backends import TorchBackend
    from crayoncodec.grid import ColorGrid
    from crayoncodec.images import Picture

    F32 = NDArray[np.float32]
    U8 = NDArray[np.uint8]
    Buffer = bytes | bytearray | memoryview

Color = Literal["neural", "guided", "gray"]
COLORS: Final[tuple[Color, ...]] = get_args(Color)
Device = Literal["auto", "cpu", "cuda"]
DEVICES: Final[tuple[Device, ...]] = get_args(Device)
DEFAULT_SPACING: Final = 20
DEFAULT_QUALITY: Final = 80
DEFAULT_EFFORT: Final = 5
_FITTED: Final = 6
_FITTED_TO_NETWORK: Final = 9


def encode(
    image: Any,
    *,
    n: int = DEFAULT_SPACING,
    quality: int = DEFAULT_QUALITY,
    lossless: bool = False,
    sampling: Sampling = "mean",
    lightness: PlaneCoder | None = None,
    step: float | None = None,
    effort: int = DEFAULT_EFFORT,
    exif: bytes | Image.Exif | None = None,
    icc_profile: bytes | None = None,
    xmp: bytes | None = None,
    limits: Limits = DEFAULT_LIMITS,
) -> bytes:
    """Encode a picture.

    image: u8[H,W], u8[H,W,3], u8[H,W,4] (sRGB, straight alpha) or a PIL image, whose metadata is kept.
    n: spacing of the colour grid in pixels, 1 to 65535.
    quality: of the lightness plane, 0 to 100 on the coder's own scale; ignored if ``lossless``.
    lossless: keep the 8-bit lightness plane exactly.
    sampling: "mean" of each cell, or "point": the paper's every n-th pixel.
    lightness: "avif", "webp" or "zstd" (lossless only); by default AVIF, or WebP if ``lossless``.
    step: quantiser step of the colour samples in CIELAB units, 1/256 to 255; by default 1.
    effort: 1 to 9. From 6 on cell means are fitted so that guided upsampling comes closer to the picture, at
    9 so that the default network does, which takes longest. Points stay as they are.
    exif, icc_profile, xmp: stored verbatim in place of the image's own; empty to leave them out.

    Returns the bytes of a .cray file. Raises ImageError, LimitError, ValueError for an option out of range.
    """
    from crayoncodec import color, grid, images
    from crayoncodec.codestreams import grids

    if quality not in range(101):
        raise ValueError(f"quality is {quality}, expected a whole number of 0 to 100")
    if effort not in range(1, 10):
        raise ValueError(f"effort is {effort}, expected a whole number of 1 to 9")
    picture = images.from_any(image, limits)
    if exif is not None:
        exif = images.exif_bytes(exif)
    given = {"exif": exif, "icc_profile": icc_profile, "xmp": xmp}
    metadata = picture.metadata | {name: value for name, value in given.items() if value is not None}
    size = sum(map(len, metadata.values()))
    if size > limits.metadata:
        raise LimitError(f"metadata has {size} bytes, the limit is {limits.metadata}")
    height, width = picture.rgb.shape[:2]
    exact, ab = color.rgb_to_lab(picture.rgb)
    plane = color.lightness_to_u8(exact)
    coded = _encode_plane(plane, lightness, None if lossless else quality)
    chunks: tuple[GridChunk, ...] = ()
    visible = None if picture.alpha is None else picture.alpha > 0
    samples = grid.sample_grid(ab, n, sampling, grid.DEFAULT_STEP if step is None else step, visible=visible)
    if not picture.is_gray:
        if effort >= _FITTED and sampling == "mean" and n > 1:
            shown = _decode_plane(coded, (height, width), "lightness plane")
            samples = _fitted(ab, color.lightness_from_u8(shown), samples, visible, effort)
        payload, coder = grids.encode(samples.samples)
        chunks = (GridChunk(n, sampling, round(samples.step * STEP_UNIT), coder, payload),)
    file = CrayFile(
        Header(width, height, len(chunks)),
        coded,
        chunks,
        None if picture.alpha is None else _encode_plane(picture.alpha, None, None),
        {name: value for name, value in metadata.items() if value},
    )
    return container.pack(file)


def decode(
    data: Buffer,
    *,
    color: Color = "neural",
    model: str | None = None,
    device: Device = "auto",
    levels: int | None = None,
    limits: Limits = DEFAULT_LIMITS,
) -> U8:
    """Decode a .cray file to sRGB u8[H,W,3], or u8[H,W,4] if it has alpha. Orientation is not applied.

    color: "neural" recolorizes with a network, "guided" without one, "gray" shows the lightness only
    (and opens files whose grid or metadata is damaged, with a CrayWarning).
    model: a shipped checkpoint's name or the path of a .safetensors file; by default the compact network.
    device: "auto", "cpu" or "cuda".
    levels: of nested colour grids decode only so many, from the coarsest on; all by default.

    Raises FormatError, LimitError, CheckpointError, DeviceError. For many files use a Decoder.
    """
    return Decoder(color=color, model=model, device=device, levels=levels, limits=limits).decode(data)


def read(path: str | os.PathLike[str], **options: Any) -> U8:
    """``decode`` the file at ``path``."""
    return decode(Path(path).read_bytes(), **options)


def write(path: str | os.PathLike[str], image: Any, **options: Any) -> None:
    """``encode`` a picture into the file at ``path``, which is replaced whole or not at all."""
    data = encode(image, **options)
    with atomic_write(Path(path)) as stream:
        stream.write(data)


def is_cray(data: Buffer) -> bool:
    """Whether bytes begin like a .cray file; eight of them are enough."""
    return bytes(data[: len(container.MAGIC)]) == container.MAGIC


class Decoder:
    """Decodes many files with one network, loaded at the first picture that needs it."""

    def __init__(
        self,
        *,
        color: Color = "neural",
        model: str | None = None,
        device: Device = "auto",
        levels: int | None = None,
        limits: Limits = DEFAULT_LIMITS,
    ) -> None:
        """Options as for ``decode``. Raises ValueError for one that is out of range."""
        for name, value, known in (("color", color, COLORS), ("device", device, DEVICES)):
            if value not in known:
                raise ValueError(f"{name} is {value!r}, expected one of {', '.join(known)}")
        if levels is not None and levels < 1:
            raise ValueError(f"levels is {levels}, expected 1 or more")
        self.color = color
        self.limits = limits
        self.levels = levels
        self._model = model
        self._device = device
        self._backends: dict[str, TorchBackend] = {}

    def decode(self, data: Buffer) -> U8:
        """As the function ``decode``."""
        return self.picture(data).array()

    def picture(self, data: Buffer) -> Picture:
        """As ``decode``, with alpha and metadata apart."""
        from crayoncodec.images import Picture
        from crayoncodec.recolorize import recolorize

        file = container.unpack(bytes(data), self.limits, salvage=self.color == "gray")
        for damage in file.damaged:
            warnings.warn(f"left out: {damage}", CrayWarning, stacklevel=2)
        lightness = decode_lightness(file)
        grid = decode_grid(file, lightness, self.levels) if self.color != "gray" else None
        # With a sample for every pixel nothing is left to paint.
        neural = self.color == "neural" and grid is not None and grid.spacing > 1
        backend = self._backend(grid.is_nested) if neural and grid is not None else None
        return Picture(recolorize(lightness, grid, backend), decode_alpha(file), file.metadata)

    def _backend(self, nested: bool) -> TorchBackend:
        from crayoncodec import checkpoints
        from crayoncodec.backends import TorchBackend

        name = self._model or (checkpoints.DEFAULT_NESTED if nested else checkpoints.DEFAULT)
        if name not in self._backends:
            network, _ = checkpoints.load(name)
            self._backends[name] = TorchBackend(network, self._device)
        return self._backends[name]


def verify(data: Buffer, limits: Limits = DEFAULT_LIMITS) -> None:
    """Check all checksums and decode lightness, grids and alpha. Raises FormatError, LimitError."""
    file = container.unpack(bytes(data), limits)
    decode_grid(file, decode_lightness(file))
    decode_alpha(file)


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
    if file.grids[0].coder == container.NESTED:
        samples, spacing = nested.decode(file.grids, lightness, levels)
        return ColorGrid(samples, spacing, "mean", 1 / STEP_UNIT, file.grids[-1].step / STEP_UNIT)
    (chunk,) = file.grids
    shape = container.grid_shape(file.header.height, file.header.width, chunk.spacing)
    samples = grids.decode(chunk.payload, chunk.coder, shape, "colour grid")
    return ColorGrid(samples, chunk.spacing, chunk.sampling, chunk.step / STEP_UNIT)


@contextmanager
def atomic_write(path: Path) -> Iterator[IO[bytes]]:
    """A stream whose bytes appear at ``path`` when the block ends well, and nowhere otherwise.

    Links are followed, and a file that is replaced passes its permissions on.
    """
    path = path.resolve()
    temporary = path.with_name(f".cray-{os.urandom(8).hex()}.tmp")
    try:
        with temporary.open("xb") as stream:
            yield stream
        if path.exists():
            shutil.copymode(path, temporary)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def _encode_plane(plane: U8, coder: PlaneCoder | None, quality: int | None) -> PlaneChunk:
    from crayoncodec.codestreams import planes

    if coder is None:
        coders = planes.LOSSLESS_CODERS if quality is None else planes.LOSSY_CODERS
        fitting = [coder for coder in coders if planes.fits(coder, plane.shape)]
        if not fitting:
            warnings.warn(
                f"no lossy coder takes sides of {max(plane.shape)} pixels, lightness is kept exactly",
                CrayWarning,
                stacklevel=3,
            )
        coder, quality = (fitting[0], quality) if fitting else ("zstd", None)
    return PlaneChunk(coder, planes.encode(plane, coder, quality), quality)


def _decode_plane(chunk: PlaneChunk, shape: tuple[int, int], what: str) -> U8:
    from crayoncodec.codestreams import planes

    return planes.decode(chunk.payload, chunk.coder, shape, what)


def _fitted(
    ab: F32, lightness: F32, samples: ColorGrid, visible: NDArray[np.bool_] | None, effort: int
) -> ColorGrid:
    from crayoncodec import checkpoints, fitting

    if effort < _FITTED_TO_NETWORK:
        return fitting.fit_samples(ab, lightness, samples, visible)
    network, _ = checkpoints.load()
    return fitting.fit_samples_to_network(network, ab, lightness, samples, visible)
