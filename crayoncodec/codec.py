"""Pictures <-> .cray bytes and files: what users call, and nothing else."""

from __future__ import annotations

import os
import threading
import warnings
from collections.abc import Collection
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from importlib import import_module
from numbers import Integral
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, TypedDict, Unpack, get_args

from crayoncodec.color.geometry import SCALES, Sampling
from crayoncodec.encoding.parameters import DEFAULT_EFFORT, DEFAULT_QUALITY, check_options, is_number
from crayoncodec.errors import CrayWarning, ImageError, LimitError
from crayoncodec.files.atomic import atomic_write
from crayoncodec.format import container
from crayoncodec.format.chunks import NESTED_FRAMING, CrayFile, GridChunk, Header, PlaneChunk, PlaneCoder
from crayoncodec.format.information import Info, info
from crayoncodec.format.limits import DEFAULT_LIMITS, Limits, check_limits
from crayoncodec.machine import process
from crayoncodec.painting import backends

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from PIL import Image

    from crayoncodec.color.grid import ColorGrid
    from crayoncodec.color.refiner import Network
    from crayoncodec.files.picture import Picture
    from crayoncodec.format.chunks import Painting
    from crayoncodec.painting.recolorize import Backend

    U8 = NDArray[np.uint8]
    Buffer = bytes | bytearray | memoryview

__all__ = [
    "COLORS", "Color", "DecodeOptions", "Decoder", "EncodeOptions", "Info", "decode", "encode", "info",
    "is_cray", "read", "verify", "write",
]  # fmt: skip

Color = Literal["auto", "neural", "guided", "gray"]
COLORS: Final[tuple[Color, ...]] = get_args(Color)


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
    device: backends.Device
    precision: backends.Precision
    levels: int | None
    scale: int
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
    effort: 1 to 9. From 5 on AVIF takes three times as long for 3 to 9 % fewer bytes; nested grids' depth and
    symbols are chosen by what bits are worth, their cells fitted to guided details, and to the network where
    ``decode`` uses it by default; and drawings (most pixels are like those to their left) have exact
    lightness and a palette, if ``lightness`` is not given and that takes an eighth more bytes at most. From 7
    on cells are fitted twice, wherever the network is closer; means of one grid from 6 on, at 9 to a network.
    At 9 AVIF takes seven times as long again for 5 % fewer bytes.
    strip: any of "exif", "xmp", "icc" and "gps" (the position in EXIF and XMP), or "all", of the image's own
    metadata to leave out. Pixels are turned as the orientation that goes said, and converted to sRGB.
    exif, icc_profile, xmp: stored verbatim in place of the image's own; empty to leave them out.

    Returns the bytes of a .cray file. Raises ImageError (also for a ``target_size`` that is too small),
    LimitError, ValueError for an option out of range or beside one that it does not go with, TypeError for
    metadata that are not bytes.
    """
    from crayoncodec.color import grid
    from crayoncodec.encoding import drawn, targets
    from crayoncodec.encoding.encoder import LOSSLESS_COLOR, Encoder, Qualities, encode_alpha
    from crayoncodec.files import images
    from crayoncodec.files import metadata as meta
    from crayoncodec.files.picture import stripped

    check_options(
        n=n, quality=quality, color_quality=color_quality, max_delta_e=max_delta_e, target_size=target_size,
        lossless=lossless, sampling=sampling, lightness=lightness, step=step, effort=effort,
    )  # fmt: skip
    if isinstance(image, str | bytes | os.PathLike) or hasattr(image, "read"):
        raise ImageError(
            f"image is {type(image).__name__}, expected an array or a PIL image, as PIL.Image.open gives"
        )
    check_limits(limits)
    given = meta.given(exif=exif, icc_profile=icc_profile, xmp=xmp)
    picture = images.from_any(image, limits)
    picture = stripped(picture, strip) if strip else picture
    metadata = picture.metadata | given
    if (size := sum(map(len, metadata.values()))) > limits.metadata:
        raise LimitError(f"metadata has {size} bytes, the limit is {limits.metadata}")
    height, width = picture.rgb.shape[:2]
    alpha = None if picture.alpha is None else encode_alpha(picture.alpha)
    coder = Encoder(picture, lightness, bool(lossless), effort)

    def whole(plane: PlaneChunk, grids: tuple[GridChunk, ...], painting: Painting | None = None) -> bytes:
        kept = {name: value for name, value in metadata.items() if value}
        return container.pack(
            CrayFile(Header(width, height, len(grids)), plane, grids, alpha, kept, painting)
        )

    chosen = DEFAULT_QUALITY if quality is None else int(quality)
    if n is not None:
        own, quantised = coder.lightness(chosen), grid.DEFAULT_STEP if step is None else float(step)
        return whole(own.chunk, coder.grid(own.shown, int(n), sampling, quantised))
    chunks = coder.as_drawn()
    exact = None if chunks is None else whole(*chunks)
    tied = LOSSLESS_COLOR if lossless else chosen
    qualities = Qualities(chosen, tied if color_quality is None else int(color_quality))
    if max_delta_e is not None:
        qualities = targets.for_error(coder, chosen, float(max_delta_e))
    if target_size is not None:
        if exact is not None and len(exact) <= target_size:
            return exact
        rest = len(whole(PlaneChunk("zstd", b""), (), "guided"))
        qualities = targets.for_size(coder, int(target_size), rest, NESTED_FRAMING)
    plane = coder.lightness(qualities.lightness).chunk
    data = whole(plane, coder.nested_chunks(qualities), coder.painting(qualities))
    within = target_size or len(data) * drawn.EXACT_IS_WORTH
    return exact if exact is not None and len(exact) <= within else data


def decode(
    data: Buffer,
    *,
    color: Color = "auto",
    model: str | None = None,
    device: backends.Device = "auto",
    precision: backends.Precision = "auto",
    levels: int | None = None,
    scale: int = 1,
    limits: Limits = DEFAULT_LIMITS,
) -> U8:
    """Decode a .cray file to sRGB u8[H,W,3], or u8[H,W,4] if it has alpha. Orientation is not applied.

    color: "neural" recolorizes with a network, "guided" without one, "auto" with one where the file says so,
    or, if it says nothing, where it is expected to bring 0.05 dB of AB PSNR, or where a ``model`` is named.
    One grid's networks need torch: without it "auto" paints as "guided", with a CrayWarning. "gray" shows the
    lightness only (and opens files whose grid or metadata is damaged, with a CrayWarning).
    model: an installed checkpoint's name or the path of a .safetensors file; by default the network
    for nested grids, or the compact one for a file of one grid.
    device: of the network, "auto" (CUDA where there is a device), "cpu" or "cuda".
    precision: of the network, "float32", "float16" or "bfloat16"; by default float16 on CUDA, else
    float32.
    levels: of nested colour grids decode only so many, from the coarsest on; all by default.
    scale: 2, 4, 8 or 16 for a picture of ceil(H/scale) x ceil(W/scale) pixels, which takes less time than the
    whole one: lightness (and alpha) are means of the stored plane's blocks, to the nearest integer, colours
    come from cells as large as those, or from coarser ones, upsampled. Finer levels of nested grids are not
    decoded. No network is used, so that ``color="neural"`` and a ``model`` do not go with it.

    Raises FormatError, LimitError, CheckpointError, DeviceError, TypeError for what is not bytes, and
    ValueError for an option that is not known or does not go with another. For many files use a Decoder.
    """
    decoder = Decoder(
        color=color, model=model, device=device, precision=precision, levels=levels, scale=scale,
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
    process, where the network is loaded anew and torch computes in one thread.
    """

    def __init__(
        self,
        *,
        color: Color = "auto",
        model: str | None = None,
        device: backends.Device = "auto",
        precision: backends.Precision = "auto",
        levels: int | None = None,
        scale: int = 1,
        limits: Limits = DEFAULT_LIMITS,
    ) -> None:
        """Options as for ``decode``. Raises ValueError for one that is out of range or excludes another."""
        if color not in COLORS:
            raise ValueError(f"color is {color!r}, expected one of {', '.join(COLORS)}")
        backends.check_options(device, precision)
        if levels is not None and not (is_number(levels, Integral) and levels >= 1):
            raise ValueError(f"levels is {levels}, expected 1 or more, a whole number")
        if not isinstance(model, str | os.PathLike | None):
            raise TypeError(f"model is {model!r}, expected the name of a checkpoint or the path of one")
        if not (is_number(scale, Integral) and scale in SCALES):
            raise ValueError(f"scale is {scale!r}, expected one of {', '.join(map(str, SCALES))}")
        check_limits(limits)
        self.color = "neural" if color == "auto" and model is not None else color
        if scale > 1 and self.color == "neural":
            asked = "color neural" if model is None else "model"
            raise ValueError(f"scale does not go with {asked}: no network paints reduced pictures")
        self.limits = limits
        self.levels = None if levels is None else int(levels)
        self.scale = int(scale)
        self._model = model
        self._load = partial(backends.load, device=device, precision=precision)
        self._networks: dict[tuple[int, str, bool], Backend | Network] = {}
        self._device = device

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_networks": {}}

    def decode(self, data: Buffer) -> U8:
        """As the function ``decode``."""
        return self.picture(data).array()

    def picture(self, data: Buffer) -> Picture:
        """As ``decode``, with alpha and metadata apart."""
        from crayoncodec.format import decoding

        file = container.unpack(_bytes(data), self.limits, salvage=self.color == "gray")
        for damage in file.damaged:
            warnings.warn(f"left out: {damage}", CrayWarning, stacklevel=2)
        lightness = _lightness(file)
        from crayoncodec.files.picture import Picture
        from crayoncodec.painting import recolorize, reduced

        grid = decoding.decode_grid(file, lightness, self._levels(file)) if self.color != "gray" else None
        process.trim(lightness.size)
        if self.scale > 1:
            rgb = reduced.recolorize(lightness, grid, self.scale)
        else:
            backend = self.network(grid.is_nested) if grid is not None and self._paints(grid, file) else None
            rgb = recolorize.recolorize(lightness, grid, backend)
        alpha = decoding.decode_alpha(file)
        if alpha is not None and self.scale > 1:
            alpha = reduced.means(alpha, self.scale)
        return Picture(rgb, alpha, file.metadata)

    def _levels(self, file: CrayFile) -> int | None:
        """How many levels of nested grids are to be decoded; None for all."""
        if self.scale == 1 or not file.is_nested:
            return self.levels
        return min(file.levels_to(self.scale), self.levels or file.levels_to(1))

    def _paints(self, grid: ColorGrid, file: CrayFile) -> bool:
        """Whether a network is to be used. With a sample for every pixel nothing is left to paint."""
        from crayoncodec.painting.recolorize import pays

        if self.color != "auto" or grid.spacing == 1:
            return self.color == "neural" and grid.spacing > 1
        if file.painting is not None and file.is_nested and grid.spacing == file.grids[-1].finest:
            return file.painting != "guided"
        if not pays(grid.spacing, grid.nested_step):
            return False
        if not (grid.is_nested or backends.is_installed()):
            from crayoncodec.painting.checkpoints import TORCH

            missing = f"colours are painted without a network, which needs torch: pip install {TORCH}"
            warnings.warn(missing, CrayWarning, stacklevel=3)
            return False
        return True

    def network(self, nested: bool) -> Backend | Network:
        """The network for a picture of nested grids, or of one; loaded at the first call.

        Raises CheckpointError, for a network that is for other files, too, DeviceError, MemoryError.
        """
        name = self._model or ""
        own = os.getpid()
        with _loading:
            if (own, name, nested) not in self._networks:
                self._networks[own, name, nested] = self._loaded(name, nested)
            return self._networks[own, name, nested]

    def _loaded(self, name: str, nested: bool) -> Backend | Network:
        """A checkpoint; without a name the default, a network of whole numbers behind nested grids."""
        if nested and not name:
            return backends.refiner(self._device)
        from crayoncodec.painting import checkpoints

        chosen = name or checkpoints.DEFAULT
        checkpoints.read_card(checkpoints.find(chosen)).check_grids(nested)
        same = self._networks.get((os.getpid(), name, not nested)) if name else None
        return self._load(chosen) if same is None else same


def _lightness(file: CrayFile) -> U8:
    """The stored plane. A thread decodes it while what comes after it is loaded, at the first picture."""
    from crayoncodec.format import decoding

    with ThreadPoolExecutor(1) as aside:
        plane = aside.submit(decoding.decode_lightness, file)
        for module in ("files.picture", "format.nested", "painting.recolorize", "painting.reduced"):
            import_module(f"crayoncodec.{module}")
        return plane.result()


_loading = threading.Lock()
"""One thread at a time loads a network, and the others find it there."""


def _renew() -> None:
    global _loading  # noqa: PLW0603 - a forked process has one of its own
    _loading = threading.Lock()


process.in_children(_renew)


def verify(data: Buffer, limits: Limits = DEFAULT_LIMITS) -> None:
    """Check all checksums and decode lightness, grids and alpha.

    Raises FormatError, LimitError, TypeError for what is not bytes.
    """
    from crayoncodec.format import decoding

    file = container.unpack(_bytes(data), limits)
    decoding.decode_grid(file, decoding.decode_lightness(file))
    decoding.decode_alpha(file)


def _bytes(data: Buffer, most: int | None = None) -> bytes:
    """A bytes-like object's first bytes, all by default. Raises TypeError for anything else."""
    try:
        return bytes(memoryview(data)[:most])
    except TypeError:
        raise TypeError(
            f"data is {type(data).__name__}, expected the bytes of a .cray file; read(path) takes its path"
        ) from None
