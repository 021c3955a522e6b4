"""The codecs that ours is compared with, all of them by way of Pillow."""

from __future__ import annotations

import io
from dataclasses import dataclass, field, replace
from importlib import import_module, metadata

import numpy as np
from PIL import Image, features

from benchmarks.codecs.adapter import Codec, Options, Unavailable, varied

AVIF = "AVIF 4:2:0"
ANCHORS = (f"{AVIF} tune=psnr", AVIF)
"""The first is the stronger rival in squared error: what is claimed is claimed against it."""


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


def _avif(subsampling: str, tune: str | None) -> PillowCodec:
    advanced = {} if tune is None else {"advanced": {"tune": tune}}
    return PillowCodec(
        f"AVIF {subsampling}" + ("" if tune is None else f" tune={tune}"),
        files=varied("quality", (20, 35, 50, 65, 80, 90)),
        colors=varied("quality", (15, 20, 30, 40, 50, 60, 70, 80, 90)),
        typical={"quality": 75} if subsampling == "4:2:0" and tune is None else None,
        kind="AVIF",
        fixed={"subsampling": subsampling, "speed": 6} | advanced,
        gray={"subsampling": "4:0:0"},
        library="avif",
    )


def _jpeg(subsampling: str) -> PillowCodec:
    return PillowCodec(
        f"JPEG {subsampling}",
        files=varied("quality", (20, 40, 60, 75, 85, 92, 96)),
        colors=varied("quality", (10, 20, 30, 50, 70, 80, 90)),
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
        files=varied("quality", (10, 30, 50, 70, 82, 92, 96)),
        colors=varied("quality", (3, 15, 30, 50, 70, 82, 92)),
        typical={"quality": 80},
    ),
    _avif("4:2:0", None),
    _avif("4:2:0", "psnr"),
    _avif("4:4:4", None),
    _avif("4:4:4", "psnr"),
    replace(
        _JXL,
        files=varied("quality", (20, 40, 60, 75, 85, 92)),
        colors=varied("quality", (5, 10, 20, 35, 50, 70, 85)),
        typical={"quality": 80},
    ),
    PillowCodec(
        "HEIC",
        files=varied("quality", (20, 30, 40, 50, 60, 70)),
        colors=varied("quality", (10, 15, 20, 30, 40, 50, 60)),
        typical={"quality": 50},
        kind="HEIF",
        plugin=("pillow_heif", "pillow-heif"),
    ),
    Jpeg2000(
        "JPEG 2000",
        files=varied("quality_layers", (30, 33, 36, 39, 42, 46)),
        colors=varied("quality_layers", (26, 28, 30, 32, 34, 37, 40)),
        typical={"quality_layers": 40},
        kind="JPEG2000",
        fixed={"quality_mode": "dB", "irreversible": True, "mct": 1},
        library="jpg_2000",
    ),
    PillowCodec("PNG", files=({},), typical={}, kind="PNG", library="zlib"),
    replace(_WEBP, name="WebP lossless", files=({},), typical={}, fixed={"lossless": True}),
    replace(_JXL, name="JPEG XL lossless", files=({},), typical={}, fixed={"effort": 7, "lossless": True}),
)
