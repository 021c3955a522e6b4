"""A second decoder of .cray files, written from docs/format.md alone and sharing no code with the package.

Slow, and meant to be obviously right. Numbers such as §3 are sections of the document.
"""

import io
import math
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import independent_nested
import independent_painting
import numpy as np
import zstandard
from numpy.typing import NDArray
from PIL import Image

Real = NDArray[np.floating[Any]]
U8 = NDArray[np.uint8]
I16 = NDArray[np.int16]

MAX_PIXELS, MAX_METADATA = 178_956_970, 64 << 20  # §8
FIXED = {"HEAD": 13, "GRID": 1, "LGHT": 2, "ALPH": 1, "CEND": 0}  # §1: bytes before the codestream
METADATA = ("eXIf", "iCCP", "xMPd")  # §1
RGB_TO_XYZ = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])  # §2
WHITE = np.array([0.9505, 1.0, 1.0890])


@dataclass(frozen=True, eq=False)
class Decoded:
    """What a file holds; for a grey picture samples is None and spacing, sampling and step are 0."""

    lightness: U8  # [H,W], 255 is L* = 100
    samples: I16 | None  # [2,h,w], a* and b*, times step / 256
    spacing: int
    sampling: int  # 0 mean, 1 point
    step: int
    nested_step: int  # that of the last GRID chunk of nested grids, else 0
    alpha: U8 | None  # [H,W]
    metadata: dict[str, bytes]

    def guided_rgb(self) -> U8:
        """§14 for nested grids, else §7 and §2: sRGB of every pixel, u8[H,W,3]."""
        if self.nested_step:
            assert self.samples is not None
            return independent_painting.paint(self.lightness, self.samples, self.spacing, None)
        shape, n, how = self.lightness.shape, self.spacing, self.sampling
        light = self.lightness * (100 / 255)
        if self.samples is None:
            return lab_to_rgb(np.stack([light, 0 * light, 0 * light]))
        reduce = separable(shape, lambda size: reduction(size, n, how))
        up = separable(shape, lambda size: interpolation(size, n, how))
        g = separable(self.samples.shape[1:], window)
        s, m = np.clip(self.samples * (self.step / 256), -128, 128), reduce(light)  # §3
        slope = (g(m * s) - g(m) * g(s)) / (np.maximum(g(m * m) - g(m) ** 2, 0) + 160)
        detail = up(slope) * (light - up(m))
        s = s + (s - reduce(up(s) + detail))
        return lab_to_rgb(np.stack([light, *(up(s) + detail)]))

    def refined_rgb(self) -> U8:
        """§14, Refined 1, of nested grids."""
        assert self.samples is not None
        return independent_painting.paint(self.lightness, self.samples, self.spacing, self.nested_step)


def check(condition: bool, complaint: str) -> None:
    """Refuse the file unless the condition holds (§8)."""
    if not condition:
        raise ValueError(complaint)


def decode(
    data: bytes, levels: int = 99, note: independent_nested.Note = independent_nested.unnoted
) -> Decoded:
    """Read a whole file, of nested grids so many levels at most; ValueError for whatever §8 refuses.

    note: as of independent_nested.decode.
    """
    chunks = read_chunks(data)
    major, _, width, height, transform, depth, _ = struct.unpack(">BBIIBBB", chunks["HEAD"])
    check(major == 1 and transform == 1 and depth == 8, "HEAD: version, colour transform or depth")
    check(width > 0 and height > 0, "HEAD: empty picture")
    check(width * height <= MAX_PIXELS, f"more than {MAX_PIXELS} pixels")
    spacing, sampling, step, nested_step, samples, alpha = 0, 0, 0, 0, None, None
    coder, quality = chunks["LGHT"][:2]
    check(coder <= 2 and (quality <= 100 or quality == 255), "LGHT: field")
    lightness = decode_plane(coder, chunks["LGHT"][2:], height, width)
    grids = [chunks[name] for name in chunks if name.startswith("GRID")]
    if grids and grids[0][0] == 2:
        decoded = independent_nested.first_levels(grids, levels)
        samples, spacing = independent_nested.decode(decoded, lightness, lambda r: restore(r, bits=16), note)
        step, nested_step = 1, int.from_bytes(grids[-1][3:5])
    elif grids:
        check(len(grids) == 1, "number of GRID")
        coder, fields = grids[0][0], grids[0][1:]
        check(coder in (0, 1, 3), "GRID: coder")
        if coder == 3:
            check(len(fields) >= 2, "GRID is too short")
            spacing, step = 1, int.from_bytes(fields[:2])
            samples = decode_palette(fields[2:], lightness)
        else:
            check(len(fields) >= 5, "GRID is too short")
            spacing, sampling, step = struct.unpack(">HBH", fields[:5])
            check(spacing > 0 and sampling <= 1, "GRID: field")
            samples = decode_grid(coder, fields[5:], -(-height // spacing), -(-width // spacing))
        check(step > 0, "GRID: step")
    if "ALPH" in chunks:
        check(chunks["ALPH"][0] <= 1, "ALPH: field")
        alpha = decode_plane(chunks["ALPH"][0], chunks["ALPH"][1:], height, width)
    metadata = {name: chunks[name] for name in METADATA if name in chunks}
    return Decoded(lightness, samples, spacing, sampling, step, nested_step, alpha, metadata)


def read_chunks(data: bytes) -> dict[str, bytes]:
    """§1, the container: payloads by type, the critical ones being all there and in order."""
    check(data[:8] == b"\x89CRY\r\n\x1a\n", "magic")
    position, ancillary = 8, 0
    critical: list[str] = []
    chunks: dict[str, bytes] = {}
    while position < len(data):
        check("CEND" not in critical, "bytes after CEND")
        check(position + 12 <= len(data), "file ends within a chunk")
        size, letters = struct.unpack_from(">I4s", data, position)
        end = position + 8 + size
        check(size < 1 << 31 and end + 4 <= len(data), "chunk reaches beyond the end of the file")
        check(data[end : end + 4] == zlib.crc32(data[position + 4 : end]).to_bytes(4), "CRC-32")
        check(letters.isalpha(), "chunk type is not four letters")
        name = letters.decode()
        if name[0].isupper():
            check(name in FIXED, f"unknown critical chunk {name}")
            check(size >= FIXED[name], f"{name} is too short")
            critical.append(name)
        else:
            check(critical != [], "HEAD is not first")
            check(name not in chunks or name not in METADATA, f"{name} is repeated")
            ancillary += size
            check(ancillary <= MAX_METADATA, f"more than {MAX_METADATA} bytes of ancillary chunks")
        # There may be several GRID chunks.
        kept = f"GRID {critical.count('GRID')}" if name == "GRID" else name
        chunks[kept] = data[position + 8 : end]
        position = end + 4
    grids, alphas = critical.count("GRID"), critical.count("ALPH")
    check(critical == ["HEAD", *["GRID"] * grids, "LGHT", *["ALPH"] * alphas, "CEND"], "critical chunks")
    check(len(chunks["HEAD"]) == 13 and len(chunks["CEND"]) == 0, "size of HEAD or CEND")
    check(chunks["HEAD"][12] == grids <= 16 and alphas <= 1, "number of GRID or ALPH")
    return chunks


def decode_plane(coder: int, stream: bytes, height: int, width: int) -> U8:
    """§4: u8[height,width]."""
    if coder == 0:
        return median_edge(unpack(stream, height * width), (1, height, width), bits=8)[0].astype(np.uint8)
    if coder == 1:
        return decode_webp(stream, height, width)[..., 0]
    box = stream.find(b"av1C")  # AV1 codec configuration: its third byte has depth and monochrome
    check(0 <= box < len(stream) - 6 and stream[box + 6] & 0x70 == 0x10, "AVIF: not monochrome of 8 bits")
    return pixels("AVIF", stream, height, width)[..., 0]


def decode_grid(coder: int, stream: bytes, height: int, width: int) -> I16:
    """§5: i16[2,height,width]."""
    if coder == 0:
        return median_edge(unpack(stream, 4 * height * width), (2, height, width), bits=16).astype(np.int16)
    check(b"VP8L" in stream, "GRID: WebP is not lossless")
    rgb = decode_webp(stream, height, width).astype(np.int16)
    return np.stack([rgb[..., 1], rgb[..., 0]]) - np.int16(128)


def decode_palette(stream: bytes, lightness: U8) -> I16:
    """§5, palette: i16[2,height,width]."""
    check(len(stream) >= 2, "palette: no number of colours")
    colors = int.from_bytes(stream[:2])
    content = unpack(stream[2:], 5 * colors + lightness.size)
    values: dict[int, list[tuple[int, int]]] = {}
    for k in range(colors):
        check(k == 0 or content[k - 1] <= content[k], "palette: not in the order of lightness")
        low, high = content[colors + k : 3 * colors : colors], content[3 * colors + k : 5 * colors : colors]
        a, b = (int.from_bytes(pair, "little", signed=True) for pair in zip(low, high, strict=True))
        values.setdefault(content[k], []).append((a, b))
    samples = np.empty((2, *lightness.shape), np.int16)
    for place, value, index in zip(
        np.ndindex(lightness.shape), lightness.ravel().tolist(), content[5 * colors :], strict=True
    ):
        there = values.get(value, [])
        check(index < len(there), "palette: a colour that is not there")
        samples[:, *place] = there[index]
    return samples


def unpack(stream: bytes, size: int) -> bytes:
    """One Zstandard frame that says its content's size, and nothing after it (§4, §5)."""
    try:
        check(zstandard.frame_content_size(stream) == size, "Zstandard: content size")
        return zstandard.ZstdDecompressor().decompress(stream, allow_extra_data=False)
    except zstandard.ZstdError as error:
        raise ValueError(f"Zstandard: {error}") from error


def decode_webp(stream: bytes, height: int, width: int) -> U8:
    """u8[height,width,3]; the size is read from the file before any memory is asked for (§4, RFC 9649)."""
    fields = int.from_bytes(stream[20:30], "little")  # the start of the first chunk's payload
    if stream[12:16] == b"VP8X":
        size = (fields >> 32 & 0xFFFFFF) + 1, (fields >> 56) + 1
    elif stream[12:16] == b"VP8L":
        size = (fields >> 8 & 0x3FFF) + 1, (fields >> 22 & 0x3FFF) + 1
    else:
        size = fields >> 48 & 0x3FFF, fields >> 64 & 0x3FFF
    check(size == (width, height), "WebP: picture size")
    return pixels("WEBP", stream, height, width)


def pixels(kind: str, stream: bytes, height: int, width: int) -> U8:
    """Pillow's decoding of a WebP or AVIF file of one image, u8[height,width,3]."""
    try:
        with Image.open(io.BytesIO(stream), formats=[kind]) as image:
            check(image.size == (width, height), f"{kind}: picture size")
            check(getattr(image, "n_frames", 1) == 1, f"{kind}: more than one image")
            check(kind == "WEBP" or not image.has_transparency_data, "AVIF: more than one item")
            return np.asarray(image.convert("RGB"))
    except (OSError, SyntaxError, RuntimeError) as error:
        raise ValueError(f"{kind}: {error}") from error


def median_edge(content: bytes, shape: tuple[int, int, int], bits: int) -> NDArray[np.int64]:
    """§6: the samples of all planes, unsigned for 8 bits and signed for 16."""
    parts = np.frombuffer(content, np.uint8).reshape(bits // 8, *shape)
    z = sum(part.astype(np.int64) << 8 * i for i, part in enumerate(parts))
    return restore(np.where(z % 2 == 0, z // 2, -(z + 1) // 2), bits)


def restore(residuals: NDArray[np.int64], bits: int) -> NDArray[np.int64]:
    """§6: samples of planes [planes,rows,columns] from their residuals."""
    residual = residuals.tolist()
    lowest = -(1 << 15) if bits == 16 else 0
    out = np.zeros(residuals.shape, np.int64)
    for i, y, x in np.ndindex(residuals.shape):
        left = int(out[i, y, x - 1]) if x else 0
        above = int(out[i, y - 1, x]) if y else 0
        corner = int(out[i, y - 1, x - 1]) if x and y else 0
        p = min(max(left + above - corner, min(left, above)), max(left, above))
        out[i, y, x] = (p + residual[i][y][x] - lowest) % (1 << bits) + lowest
    return out


def separable(shape: tuple[int, ...], matrix: Callable[[int], Real]) -> Callable[[Real], Real]:
    """A linear operation on [...,rows,columns], done along both axes by the matrix for each one's size."""
    rows, columns = matrix(shape[0]), matrix(shape[1])
    return lambda values: rows @ values @ columns.T


def reduction(size: int, n: int, sampling: int) -> Real:
    """§3 along one axis: pixels to cells, [cells,size]."""
    out = np.zeros((-(-size // n), size))
    for i, weights in enumerate(out):
        mean, point = range(i * n, min((i + 1) * n, size)), [min(i * n + n // 2, size - 1)]
        weights[point if sampling == 1 else mean] = 1 / len(point if sampling == 1 else mean)
    return out


def window(cells: int) -> Real:
    """G of §7, step 2, along one axis: [cells,cells]."""
    out = np.zeros((cells, cells))
    for i, weights in enumerate(out):
        for offset, weight in zip(range(-2, 3), (1, 4, 6, 4, 1), strict=True):
            weights[min(max(i + offset, 0), cells - 1)] += weight / 16
    return out


def interpolation(size: int, n: int, sampling: int) -> Real:
    """§7, step 3, along one axis: cells to pixels, [size,cells]."""
    out = np.zeros((size, -(-size // n)))
    for x, weights in enumerate(out):
        position = (x - (n // 2 if sampling == 1 else (n - 1) / 2)) / n
        for cell in range(math.floor(position) - 1, math.floor(position) + 3):
            d = abs(position - cell)
            near, far = 1.25 * d**3 - 2.25 * d**2 + 1, -0.75 * d**3 + 3.75 * d**2 - 6 * d + 3
            weights[min(max(cell, 0), len(weights) - 1)] += near if d <= 1 else far
    return out


def lab_to_linear(lab: Real) -> tuple[Real, NDArray[np.bool_]]:
    """§2, Back: linear RGB of f64[N,3], and which colours do not fit."""
    fy = (lab[:, 0] + 16) / 116
    f = np.stack([fy + lab[:, 1] / 500, fy, fy - lab[:, 2] / 200], axis=1)
    t = np.where(f > 6 / 29, f**3, 3 * (6 / 29) ** 2 * (f - 4 / 29))
    linear = (t * WHITE) @ np.linalg.inv(RGB_TO_XYZ).T
    y = np.clip(linear, 0, 1) @ RGB_TO_XYZ[1]
    clipped = 116 * np.where(y > (6 / 29) ** 3, np.cbrt(y), y / (3 * (6 / 29) ** 2) + 4 / 29) - 16
    far = np.any((linear < -0.02) | (linear > 1.1), axis=1)
    return linear, far | (np.abs(clipped - lab[:, 0]) > 1)


def lab_to_rgb(lab: Real) -> U8:
    """§2, Back: f64[3,H,W] to u8[H,W,3], a* and b* of colours that do not fit being scaled until they do."""
    colours = lab.reshape(3, -1).T
    todo = np.flatnonzero(lab_to_linear(colours)[1])
    k = np.full(len(colours), 1024)
    k[todo] = 0
    for first in range(960, 0, -64):
        fits = ~lab_to_linear(colours * [1, first / 1024, first / 1024])[1]
        k[(k == 0) & fits] = first
    for added in (32, 16, 8, 4, 2, 1):
        factor = (k[todo] + added)[:, None] / 1024
        k[todo] += added * ~lab_to_linear(colours[todo] * np.hstack([0 * factor + 1, factor, factor]))[1]
    linear = np.clip(lab_to_linear(colours * np.stack([0 * k + 1024, k, k], axis=1) / 1024)[0], 0, 1)
    values = np.where(linear <= 0.04045 / 12.92, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    return np.floor(255 * values + 0.5).astype(np.uint8).reshape(*lab.shape[1:], 3)
