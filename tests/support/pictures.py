"""Pictures that tests make for themselves."""

from __future__ import annotations

import io
import struct
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms, ImageDraw

import crayoncodec
from crayoncodec.color import cielab
from crayoncodec.files import saving

SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
XMP = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"/>'


def photo(height: int, width: int, seed: int = 0) -> NDArray[np.uint8]:
    """Smooth colours, an edge and some noise: u8[height, width, 3]."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:height, 0:width] / max(height, width)
    shade = 0.5 + 0.3 * np.sin(7 * x + 3 * y + seed) + 0.2 * (x + y > 0.9)
    channels = [shade * (0.6 + 0.4 * np.cos(3 * x * k + 2 * y + k + seed)) for k in range(3)]
    noise = rng.normal(0, 0.02, (height, width, 3))
    return (np.clip(np.stack(channels, axis=-1) + noise, 0, 1) * 255).astype(np.uint8)


def chart(height: int = 120, width: int = 160) -> NDArray[np.uint8]:
    """Bars and lines with smoothed edges, drawn in few colours: u8[height, width, 3]."""
    image = Image.new("RGB", (4 * width, 4 * height), (250, 250, 245))
    draw = ImageDraw.Draw(image)
    for k, color in enumerate([(200, 30, 40), (30, 90, 200), (240, 180, 20), (10, 140, 60)]):
        draw.rectangle([(40 + 140 * k, 400 - 70 * k), (140 + 140 * k, 440)], fill=color)
        draw.line([(20, 100 * k), (600, 440 - 90 * k)], fill=color, width=4)
    return np.asarray(image.resize((width, height), Image.Resampling.BOX))


def planes(height: int, width: int, seed: int = 0) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """Lightness u8[H,W] and AB f32[2,H,W] of a photo."""
    lightness, ab = cielab.rgb_to_lab(photo(height, width, seed))
    return cielab.lightness_to_u8(lightness), ab


def saved(image: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    """The file that Pillow makes of a picture."""
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def png(rgb: NDArray[np.uint8]) -> bytes:
    """The PNG file of u8[H, W, 3]."""
    return saved(Image.fromarray(rgb))


def decoded(data: bytes, extension: str = ".png") -> Image.Image:
    """A .cray file as the file that decoding writes, opened."""
    picture = crayoncodec.Decoder(color="guided").picture(data)
    return Image.open(io.BytesIO(saving.save_picture(picture, extension)))


def curved_profile(space: str = "RGB ", gamma: float = 1.0) -> bytes:
    """A profile of sRGB's primaries, or of grey, whose curve is a gamma."""
    curve = b"curv" + bytes(4) + struct.pack(">IH", 1, round(gamma * 256)) + bytes(2)
    if space == "GRAY":
        tags = {b"kTRC": curve}
    else:
        columns = [(0.4361, 0.2225, 0.0139), (0.3851, 0.7169, 0.0971), (0.1431, 0.0606, 0.7141)]
        xyz = [
            b"XYZ " + bytes(4) + struct.pack(">3i", *(round(v * 65536) for v in column)) for column in columns
        ]
        tags = dict(zip((b"rXYZ", b"gXYZ", b"bXYZ"), xyz, strict=True)) | dict.fromkeys(
            (b"rTRC", b"gTRC", b"bTRC"), curve
        )
    tags[b"wtpt"] = b"XYZ " + bytes(4) + struct.pack(">3i", 0xF6D6, 0x10000, 0xD32D)
    start = 128 + 4 + 12 * len(tags)
    table, heap = struct.pack(">I", len(tags)), b""
    for name, payload in tags.items():
        table += struct.pack(">4sII", name, start + len(heap), len(payload))
        heap += payload
    size = start + len(heap)
    head = struct.pack(">I4xI4s4s4s12x4s", size, 0x02400000, b"mntr", space.encode(), b"XYZ ", b"acsp")
    return head.ljust(68, b"\0") + struct.pack(">3i48x", 0xF6D6, 0x10000, 0xD32D) + table + heap
