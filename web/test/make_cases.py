"""Files that the decoder in JavaScript must decode, or refuse, as the package does: make_cases.py FOLDER."""

from __future__ import annotations

import hashlib
import json
import struct
import sys
from collections.abc import Iterator
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
GOLDEN = ROOT / "tests/format/golden"
sys.path[:0] = [str(ROOT / folder) for folder in ("tests/support", "tests/format")]

import numpy as np  # noqa: E402
import skimage.data  # noqa: E402
import test_codestreams  # noqa: E402
import test_container  # noqa: E402
import test_independent_decoder  # noqa: E402
import test_palette  # noqa: E402
import test_sizes  # noqa: E402
import zstandard  # noqa: E402
from coded_planes import PLANE, STREAMS  # noqa: E402
from framing import chunk  # noqa: E402
from pictures import photo  # noqa: E402
from PIL import Image  # noqa: E402
from PIL.TiffImagePlugin import IFDRational  # noqa: E402

import crayoncodec  # noqa: E402
from crayoncodec import CrayError  # noqa: E402
from crayoncodec.format import container, planes, residuals  # noqa: E402
from crayoncodec.format.chunks import CrayFile, GridChunk, Header, PlaneChunk  # noqa: E402

SHARED = ("inlimit_*.cray", "inner_*.cray", "zstd_bomb_*.cray")
CHECKED = zstandard.ZstdCompressor(write_checksum=True).compress(bytes(range(PLANE.shape[1])) * len(PLANE))
"""A frame with a checksum, which encoders do not write."""
NESTED: dict[str, tuple[Any, dict[str, Any]]] = {
    "fine": (photo(301, 403), {"color_quality": 95}),
    "coarse": (photo(260, 517, 1), {"color_quality": 5}),
    "tall": (photo(700, 9, 2), {}),
    "noise": (np.random.default_rng(0).integers(0, 256, (61, 83, 3), np.uint8), {"color_quality": 100}),
    "exact": (photo(120, 77, 3), {"lossless": True}),
    "strips": (photo(2100, 1100, 4), {"color_quality": 30, "effort": 1}),
}


def parameters(test: Any) -> list[tuple[Any, ...]]:
    """The cases of a test that has two or more arguments."""
    return next(
        [tuple(getattr(case, "values", case)) for case in mark.args[1]]
        for mark in test.pytestmark
        if not isinstance(mark.args[0], str) or "," in mark.args[0]
    )


def streams(test: Any) -> list[bytes]:
    """The codestreams that a test is given alone."""
    return next(mark.args[1] for mark in test.pytestmark if mark.args[0] == "stream")


def of_plane(coder: Any, payload: bytes, shape: tuple[int, int]) -> bytes:
    """A grey file with this lightness."""
    return container.pack(CrayFile(Header(shape[1], shape[0], 0), PlaneChunk(coder, payload, None)))


def refused() -> Iterator[bytes]:
    """Files that are neither cut nor flipped, and have to be refused all the same."""
    yield from (case[0] for case in parameters(test_container.test_what_is_refused))
    for stream, *_ in parameters(
        test_sizes.test_avif_files_with_anything_but_one_frame_of_the_right_size_are_refused
    ):
        yield of_plane("avif", stream, (16, 16) if struct.pack(">II", 16, 16) in stream else PLANE.shape)
    for stream in streams(test_codestreams.test_a_zstd_frame_that_swells_is_given_up):
        yield from (of_plane("zstd", stream, shape) for shape in ((10, 10), (256, 512)))
    for stream in streams(test_codestreams.test_zstd_frames_that_the_format_does_not_know_are_refused):
        yield of_plane("zstd", stream, PLANE.shape)
    for coder, stream in STREAMS.items():
        yield from (of_plane(coder, stream, shape) for shape in ((24, 32), (23, 33), (5000, 5000)))
        yield from (of_plane(other, stream, PLANE.shape) for other in STREAMS if other != coder)
    grey = test_palette.LIGHTNESS
    for stream, *_ in parameters(test_palette.test_what_is_refused):
        plane = PlaneChunk("zstd", residuals.compress(grey, 3))
        grid = GridChunk(1, "mean", 256, "palette", stream)
        yield container.pack(CrayFile(Header(grey.shape[1], grey.shape[0], 1), plane, (grid,)))
    yield of_plane("zstd", CHECKED[:-1] + bytes([CHECKED[-1] ^ 1]), PLANE.shape)
    nested = container.unpack((GOLDEN / "nested-fine.cray").read_bytes())
    for version in (0, 1, 2, 3, 5, 255):
        yield container.pack(replace(nested, grids=tuple(replace(g, network=version) for g in nested.grids)))
    for payload in (b"", b"\0\0", b"\x40\0\0", b"\0\x40\0", b"\0\0\xff123"):
        yield container.pack(replace(nested, grids=(replace(nested.grids[0], payload=payload),)))
    small = test_independent_decoder.small.__wrapped__()
    head = 8 + 12 + 13
    yield from (small + tail for tail in (b"\0", chunk(b"CEND", b""), chunk(b"teXt", b"late")))
    yield small[:head] + 1001 * chunk(b"newC", b"?") + small[head:]


def damaged() -> Iterator[bytes]:
    """Nested grids whose codestream is another one: refused by both, or decoded to the same."""
    file = container.unpack(crayoncodec.encode(photo(90, 120), color_quality=70))
    rng = np.random.default_rng(0)
    for k in range(40):
        payload = bytearray(file.grids[0].payload)
        if k % 2:
            payload[rng.integers(3, len(payload))] ^= int(rng.integers(1, 256))
        else:
            payload[3:] = rng.bytes(int(rng.integers(0, 400)))
        step = int(rng.choice([1, file.grids[0].step, 65535]))
        grid = replace(file.grids[0], payload=bytes(payload), step=step)
        yield container.pack(replace(file, grids=(grid, *file.grids[1:])))


def accepted() -> Iterator[bytes]:
    """What is unusual and allowed."""
    small = test_independent_decoder.small.__wrapped__()
    head = 8 + 12 + 13
    yield small[:head] + 1000 * chunk(b"newC", b"?") + small[head:-12] + small[-12:]
    yield small[:8] + chunk(b"HEAD", small[16:17] + b"\x09" + small[18:29]) + small[head:]
    yield of_plane("avif", test_sizes.avif(test_sizes.SAMPLE), PLANE.shape)
    yield of_plane("zstd", CHECKED, PLANE.shape)
    for shape in ((1, 1), (1, 2)):
        yield of_plane("webp", planes.encode(np.full(shape, 7, np.uint8), "webp", None), shape)
    webp = STREAMS["webp"]
    sides = b"".join((side - 1).to_bytes(3, "little") for side in PLANE.shape[::-1])
    chunks = b"WEBPVP8X" + struct.pack("<I", 10) + bytes(4) + sides + webp[12:]
    yield of_plane("webp", b"RIFF" + struct.pack("<I", len(chunks)) + chunks, PLANE.shape)


def digest(data: bytes, **options: Any) -> str | None:
    """SHA-256 of the pixels; None for a file that the package refuses."""
    try:
        return hashlib.sha256(crayoncodec.decode(data, **options).tobytes()).hexdigest()
    except CrayError:
        return None


def nested_cases(data: bytes) -> list[dict[str, Any]]:
    """Options of JavaScript's decoder, and what the package makes of the same."""
    levels = len(crayoncodec.info(data).grids)
    cases = [
        {"color": color, "levels": kept, "sha256": digest(data, color=given, levels=kept)}
        for color, given in (("auto", "auto"), ("guided", "guided"), ("refined", "neural"), ("none", "gray"))
        for kept in ({1, levels - 1, levels} - {0} if color != "none" else {levels})
    ]
    return cases + [
        {"scale": scale, "sha256": digest(data, color="guided", scale=scale)} for scale in (2, 4, 8, 16)
    ]


def portrait() -> bytes:
    """A photograph that lies on its side, as cameras have them, for the page's screenshots."""
    exif = Image.Exif()
    exif.update({0x0110: "Nikon D3X", 0x0112: 6, 0x013B: "NASA"})
    exif.get_ifd(0x8769).update({0x829A: IFDRational(1, 250), 0x829D: IFDRational(56, 10), 0x8827: 200})
    image = Image.fromarray(np.rot90(skimage.data.astronaut()).copy())
    image.info["exif"] = exif.tobytes()
    return crayoncodec.encode(image)


def main(folder: Path) -> None:
    """Write the files, and cases.json: of each its name and what comes of it."""
    folder.mkdir(parents=True, exist_ok=True)
    cases: list[dict[str, Any]] = []

    def put(name: str, data: bytes, **expected: Any) -> None:
        (folder / f"{name}.cray").write_bytes(data)
        cases.append({"name": name, **expected})

    for name, (image, options) in NESTED.items():
        data = crayoncodec.encode(image, **options)
        put(f"nested-{name}", data, exact=nested_cases(data))
    for path in sorted(GOLDEN.glob("*.cray")):
        data = path.read_bytes()
        if container.unpack(data).is_nested:
            put(f"golden-{path.stem}", data, exact=nested_cases(data))
    for k, data in enumerate(chain(damaged(), accepted())):
        found = digest(data, color="guided")
        put(f"odd-{k}", data, exact=[{"color": "guided", "sha256": found}])
    for k, (kind, width, height, options) in enumerate(test_independent_decoder.CASES):
        data = crayoncodec.encode(test_independent_decoder.picture(kind, width, height), **options)
        for scale in (1, 2, 8):
            near = crayoncodec.decode(data, color="guided", scale=scale)
            put(f"grid-{k}-{scale}", data, scale=scale, near=near.ravel().tolist())
    for k, data in enumerate(refused()):
        assert digest(data, color="guided") is None
        put(f"refused-{k}", data, refused=True)
    hostile = ROOT.parent / "shared/cases/hostile"
    for path in sorted(chain.from_iterable(hostile.glob(pattern) for pattern in SHARED)):
        data = path.read_bytes()
        put(path.stem, data, exact=[{"color": "guided", "sha256": digest(data, color="guided")}])
    (folder / "portrait.cray").write_bytes(portrait())
    (folder / "cases.json").write_text(json.dumps(cases), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
