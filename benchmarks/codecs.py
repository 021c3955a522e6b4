"""One adapter for each codec: RGB array in memory <-> bytes in memory, as a user of its library gets it.

Nothing that only one codec needs is imported before that codec is used, so that start-up times are its own.
"""

from __future__ import annotations

import io
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from functools import cached_property
from importlib import import_module, metadata
from typing import Any

import numpy as np
from PIL import Image, features

Options = dict[str, Any]

WITHOUT_NETWORK = ("gray", "bilinear", "bicubic", "guided")
"""Decoders that need no checkpoint; bilinear and bicubic are yardsticks, not in the product."""


class Unavailable(Exception):
    """A codec that cannot run here; the message says what is missing."""


def label(options: Options) -> str:
    """What a setting is called in results and tables."""
    return " ".join(f"{name}={value}" for name, value in options.items()) or "lossless"


def labelled(settings: tuple[Options, ...], name: str) -> Options:
    """The one of ``settings`` whose label is ``name``."""
    return next(options for options in settings if label(options) == name)


@dataclass(frozen=True, eq=False)
class Codec:
    """A codec under the name that tables use, with the settings that it is measured at."""

    name: str
    files: tuple[Options, ...] = ()
    """Settings of the whole-file curve, from small files to large ones."""
    colors: tuple[Options, ...] = ()
    """Settings of the colour curve."""
    typical: Options | None = None
    """The setting that is timed at several sizes; None for codecs that are not."""

    def versions(self) -> dict[str, str]:
        """Library -> version. Raises Unavailable."""
        raise NotImplementedError

    def encode(self, rgb: np.ndarray, options: Options) -> bytes:
        """u8[H,W,3] sRGB -> a file."""
        raise NotImplementedError

    def decode(self, data: bytes) -> np.ndarray:
        """A file -> u8[H,W,3] sRGB."""
        raise NotImplementedError

    def color_bytes(self, rgb: np.ndarray, data: bytes, options: Options) -> int:
        """How many bytes of ``data``, the file of ``rgb`` at ``options``, are there for its colour."""
        raise NotImplementedError


@dataclass(frozen=True, eq=False)
class PillowCodec(Codec):
    """A format that Pillow writes and reads, by itself or with a plugin."""

    kind: str = ""
    """Pillow's name of the format."""
    fixed: Options = field(default_factory=dict)
    """What Image.save gets besides the setting."""
    gray: Options = field(default_factory=dict)
    """What replaces some of that for a grey picture."""
    library: str = ""
    """Pillow's name of the library behind it, for ``features.version``."""
    plugin: tuple[str, str] | None = None
    """Module that adds the format to Pillow, and the distribution that it comes with."""

    def versions(self) -> dict[str, str]:
        """As Codec says."""
        found = {"pillow": metadata.version("pillow")}
        if self.plugin is not None:
            module, distribution = self.plugin
            try:
                import_module(module)
            except ImportError as error:
                raise Unavailable(f"{distribution} is not installed ({error})") from error
            return found | {distribution: metadata.version(distribution)}
        if not features.check(self.library):
            raise Unavailable(f"the installed Pillow has no {self.library}")
        return found | {self.library: str(features.version(self.library))}

    def encode(self, rgb: np.ndarray, options: Options) -> bytes:
        """As Codec says."""
        return self._save(Image.fromarray(rgb), self.fixed | options)

    def decode(self, data: bytes) -> np.ndarray:
        """As Codec says."""
        self._register()
        with Image.open(io.BytesIO(data)) as image:
            return np.asarray(image.convert("RGB"))

    def color_bytes(self, rgb: np.ndarray, data: bytes, options: Options) -> int:
        """Colour file minus the grey file (Y' alone) at the same setting."""
        gray = Image.fromarray(rgb).convert("L")
        return len(data) - len(self._save(gray, self.fixed | self.gray | options))

    def _save(self, image: Image.Image, options: Options) -> bytes:
        self._register()
        stream = io.BytesIO()
        image.save(stream, self.kind, **options)
        return stream.getvalue()

    def _register(self) -> None:
        if self.plugin is not None:
            plugin = import_module(self.plugin[0])
            if self.kind == "HEIF":
                plugin.register_heif_opener()


@dataclass(frozen=True, eq=False)
class Jpeg2000(PillowCodec):
    """JPEG 2000 at a PSNR in dB, the way in which OpenJPEG takes a quality."""

    def _save(self, image: Image.Image, options: Options) -> bytes:
        return super()._save(image, {**options, "quality_layers": [options["quality_layers"]]})


@dataclass(frozen=True, eq=False)
class Cray(Codec):
    """Our own format: a way of writing .cray files and a way of decoding them."""

    decoder: str = "compact"
    """One of WITHOUT_NETWORK, or a checkpoint's name or path."""
    fixed: Options = field(default_factory=dict)
    """What crayoncodec.encode gets besides the setting."""
    backend: str = "opencv"
    """What runs the network; OpenCV is there wherever crayoncodec is."""

    def versions(self) -> dict[str, str]:
        """As Codec says; a network's version is that of its card, with the SHA-256 of its weights."""
        found = decoder_versions(self.decoder) | {"avif": str(features.version("avif"))}
        if self.backend == "openvino":
            try:
                found |= {self.backend: metadata.version(self.backend)}
            except metadata.PackageNotFoundError as error:
                raise Unavailable(f"{self.backend} is not installed") from error
        return found

    def encode(self, rgb: np.ndarray, options: Options) -> bytes:
        """As Codec says."""
        import crayoncodec

        return crayoncodec.encode(rgb, **self.fixed, **options)

    def decode(self, data: bytes) -> np.ndarray:
        """As Codec says; networks stay loaded, as in a crayoncodec.Decoder."""
        if self.decoder == "bicubic":
            return _decode_bicubic(data)
        return self._decoder.decode(data)

    def color_bytes(self, rgb: np.ndarray, data: bytes, options: Options) -> int:
        """The GRID chunks with their framing."""
        import crayoncodec

        return sum(chunk.size for chunk in crayoncodec.info(data).chunks if chunk.type == "GRID")

    @cached_property
    def _decoder(self) -> Any:
        import crayoncodec

        if self.decoder in ("gray", "guided"):
            return crayoncodec.Decoder(color=self.decoder, device="cpu")
        return crayoncodec.Decoder(color="neural", model=self.decoder, device="cpu", backend=self.backend)


@dataclass(frozen=True, eq=False)
class NestedCray(Cray):
    """Our own format with nested grids, the default."""

    decoder: str = "nested"

    def versions(self) -> dict[str, str]:
        """As Cray says, with the entropy coder, networks in the loop, the one that cells are fitted to."""
        from crayoncodec import predictor

        loop = f"{predictor.VERSION}, SHA-256 {predictor.SHA256[predictor.VERSION]}"
        fitted = decoder_versions("nested") if self.fixed.get("effort", 0) >= _SLOW else {}
        own = {"constriction": metadata.version("constriction"), "predictor": loop}
        return super().versions() | fitted | own


def decoder_versions(decoder: str) -> dict[str, str]:
    """Libraries of one of our decoders, and version and SHA-256 of its weights. Raises Unavailable."""
    from crayoncodec import CheckpointError, checkpoints

    names = ["crayoncodec", "numpy", "opencv-python", "pillow", "zstandard"]
    if decoder in WITHOUT_NETWORK:
        return {name: metadata.version(name) for name in names}
    try:
        card, _ = checkpoints.verify(decoder)
    except CheckpointError as error:
        raise Unavailable(str(error)) from error
    libraries = {name: metadata.version(name) for name in [*names, "torch"]}
    return libraries | {card.name: f"{card.version}, SHA-256 {card.sha256}"}


def _decode_bicubic(data: bytes) -> np.ndarray:
    """Bicubic colours: a decoder that does not look at the lightness."""
    from crayoncodec import codec, color, container
    from crayoncodec.guided import upsample

    file = container.unpack(data)
    plane = codec.decode_lightness(file)
    grid = codec.decode_grid(file, plane)
    if grid is None:
        return np.dstack([plane] * 3)
    ab = upsample(grid.ab(), grid.spacing, grid.sampling, (0, 0, *plane.shape))
    return color.lab_to_rgb(color.lightness_from_u8(plane), ab)


def _by(name: str, values: Iterable[Any]) -> tuple[Options, ...]:
    return tuple({name: value} for value in values)


def _avif(subsampling: str, tune: str | None) -> PillowCodec:
    advanced = {} if tune is None else {"advanced": {"tune": tune}}
    return PillowCodec(
        f"AVIF {subsampling}" + ("" if tune is None else f" tune={tune}"),
        files=_by("quality", (20, 35, 50, 65, 80, 90)),
        colors=_by("quality", (15, 20, 30, 40, 50, 60, 70, 80, 90)),
        typical={"quality": 75} if subsampling == "4:2:0" and tune is None else None,
        kind="AVIF",
        fixed={"subsampling": subsampling, "speed": 6} | advanced,
        gray={"subsampling": "4:0:0"},
        library="avif",
    )


def _jpeg(subsampling: str) -> PillowCodec:
    return PillowCodec(
        f"JPEG {subsampling}",
        files=_by("quality", (20, 40, 60, 75, 85, 92, 96)),
        colors=_by("quality", (10, 20, 30, 50, 70, 80, 90)),
        typical={"quality": 85} if subsampling == "4:2:0" else None,
        kind="JPEG",
        fixed={"subsampling": subsampling, "optimize": True, "progressive": True},
        library="libjpeg_turbo",
    )


_WEBP = PillowCodec("WebP", kind="WEBP", library="webp")
_JXL = PillowCodec("JPEG XL", kind="JXL", plugin=("pillow_jxl", "pillow-jxl-plugin"), fixed={"effort": 7})

RIVALS: tuple[Codec, ...] = (
    _jpeg("4:2:0"),
    _jpeg("4:4:4"),
    replace(
        _WEBP,
        files=_by("quality", (10, 30, 50, 70, 82, 92, 96)),
        colors=_by("quality", (3, 15, 30, 50, 70, 82, 92)),
        typical={"quality": 80},
    ),
    _avif("4:2:0", None),
    _avif("4:2:0", "psnr"),
    _avif("4:4:4", None),
    _avif("4:4:4", "psnr"),
    replace(
        _JXL,
        files=_by("quality", (20, 40, 60, 75, 85, 92)),
        colors=_by("quality", (5, 10, 20, 35, 50, 70, 85)),
        typical={"quality": 80},
    ),
    PillowCodec(
        "HEIC",
        files=_by("quality", (20, 30, 40, 50, 60, 70)),
        colors=_by("quality", (10, 15, 20, 30, 40, 50, 60)),
        typical={"quality": 50},
        kind="HEIF",
        plugin=("pillow_heif", "pillow-heif"),
    ),
    Jpeg2000(
        "JPEG 2000",
        files=_by("quality_layers", (30, 33, 36, 39, 42, 46)),
        colors=_by("quality_layers", (26, 28, 30, 32, 34, 37, 40)),
        typical={"quality_layers": 40},
        kind="JPEG2000",
        fixed={"quality_mode": "dB", "irreversible": True, "mct": 1},
        library="jpg_2000",
    ),
    PillowCodec("PNG", files=({},), typical={}, kind="PNG", library="zlib"),
    replace(_WEBP, name="WebP lossless", files=({},), typical={}, fixed={"lossless": True}),
    replace(_JXL, name="JPEG XL lossless", files=({},), typical={}, fixed={"effort": 7, "lossless": True}),
)

_QUALITIES = (40, 60, 80, 90)
_FOLLOWING = ((10, 20), (8, 35), (8, 50), (6, 65), (4, 80), (4, 88), (2, 94))
"""Spacing and quality, both growing finer together: the pairs that have the most SSIMULACRA2 for their bytes
on 12 photographs that are not Kodak's (suite ``choices``, "spacing beside quality")."""
ONE_GRID = "cray one grid"
COLOR_SPACINGS = (2, 3, 4, 5, 6, 8, 10, 13, 16, 20, 30)


def _cray(name: str, decoder: str = "compact", n: int = 20, **fixed: Any) -> Cray:
    files = tuple({"n": n, "quality": quality} for quality in _QUALITIES)
    return Cray(name, files=files, decoder=decoder, fixed=fixed)


def _cray_colors(name: str, decoder: str, quality: int = 60, sampling: str = "mean") -> Cray:
    return Cray(
        name,
        colors=_by("n", COLOR_SPACINGS),
        decoder=decoder,
        fixed={"quality": quality, "sampling": sampling},
    )


def _nested_colors(decoder: str, effort: int = 5, quality: int = 80) -> NestedCray:
    name = "cray nested" if decoder == "nested" else f"cray nested {decoder}"
    name += "" if effort == 5 else f", effort {effort}"
    name += "" if quality == 80 else f", lightness q={quality}"
    fixed = {"quality": quality, "effort": effort}
    return NestedCray(name, colors=_COLOR_QUALITIES, decoder=decoder, fixed=fixed)


_SLOW = 7
_TIED = _by("quality", (10, 20, 35, 50, 65, 80, 90))
_COLOR_QUALITIES = _by("color_quality", range(0, 100, 10))

OURS: tuple[Codec, ...] = (
    NestedCray("cray", files=_TIED, typical={"quality": 80}),
    NestedCray("cray, OpenVINO", typical={"quality": 80}, backend="openvino"),
    NestedCray(f"cray, effort {_SLOW}", files=_TIED, fixed={"effort": _SLOW}),
    NestedCray("cray without a network", files=_TIED, typical={"quality": 80}, decoder="guided"),
    *(_nested_colors("nested", effort) for effort in (5, _SLOW)),
    *(_nested_colors("guided", effort) for effort in (5, 1, 6, _SLOW)),
    *(_nested_colors(decoder, quality=60) for decoder in ("nested", "guided")),
    Cray(
        ONE_GRID,
        files=tuple({"n": n, "quality": q} for n, q in _FOLLOWING),
        typical={"n": 20, "quality": 80},
    ),
    _cray("cray n=6", n=6),
    _cray("cray n=10", n=10),
    _cray("cray n=20"),
    replace(_cray("cray n=20 guided", "guided"), typical={"n": 20, "quality": 80}),
    _cray("cray n=20 bicubic", "bicubic"),
    replace(_cray("cray n=20 gray", "gray"), typical={"n": 20, "quality": 80}),
    replace(_cray("cray n=20 crayon", "crayon"), backend="torch"),
    _cray("cray n=20 points", sampling="point"),
    _cray("cray n=20 points guided", "guided", sampling="point"),
    _cray("cray n=20 lightness=webp", lightness="webp"),
    *(
        Cray(
            f"cray lossless lightness={coder}",
            files=({"n": 20},),
            typical={"n": 20} if coder == "webp" else None,
            fixed={"lossless": True, "lightness": coder},
        )
        for coder in ("webp", "zstd")
    ),
    _cray_colors("cray compact, lightness q=60", "compact"),
    replace(_cray_colors("cray crayon", "crayon"), backend="torch"),
    _cray_colors("cray guided", "guided"),
    _cray_colors("cray bicubic", "bicubic"),
    _cray_colors("cray guided, points", "guided", sampling="point"),
)

CODECS: dict[str, Codec] = {codec.name: codec for codec in (*RIVALS, *OURS)}
