"""Writes golden files that are not there yet; those that are stay as they are, for ever.

Each <name>.cray is small; <name>.json has the integers that every decoder must find in it, for ever.
"""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np

import crayoncodec
from crayoncodec.format import container, decoding

FOLDER = Path(__file__).parent
sys.path[:0] = [str(FOLDER.parents[1] / "support"), str(FOLDER.parent)]

import independent_decoder  # noqa: E402
from drawn_files import drawn  # noqa: E402
from intermediate import Notes  # noqa: E402
from pictures import chart, photo  # noqa: E402

CASES = {
    "default": {"n": 5},
    "point-avif": {"n": 4, "sampling": "point", "quality": 50},
    "lossless-webp": {"n": 6, "lossless": True},
    "lossless-zstd": {"n": 3, "lossless": True, "lightness": "zstd", "step": 0.25},
    "lossy-webp": {"n": 65535, "lightness": "webp", "quality": 70},
    "metadata": {"n": 7, "exif": b"MM\0*\0\0\0\x08\0\0", "xmp": b"<x:xmpmeta/>"},
}


def integers(data: bytes) -> dict[str, object]:
    """Everything in a file that is the same on every machine."""
    file = container.unpack(data)
    lightness, alpha = decoding.decode_lightness(file), decoding.decode_alpha(file)
    grid = decoding.decode_grid(file, lightness)
    return {
        "lightness": lightness.tolist(),
        "grid": None
        if grid is None
        else {
            "spacing": grid.spacing,
            "sampling": grid.sampling,
            "step": grid.step,
            "samples": grid.samples.tolist(),
        },
        "alpha": None if alpha is None else alpha.tolist(),
        "metadata": {name: value.hex() for name, value in file.metadata.items()},
    }


NESTED = {
    "nested": (75, 100, {}),
    "nested-coarse": (61, 70, {"quality": 30}),
    "nested-fine": (33, 40, {"color_quality": 95, "effort": 1}),
    "nested-line": (1, 70, {"lightness": "webp", "effort": 7}),
}
"""Height, width, options: nested grids down to spacing 2, 4, 1 and 2."""

DRAWN = {
    "drawn-chunks": ((33, 46), [(8, 2, 900), (2, 1, 300), (1, 1, 40)], {}),
    "drawn-wide": (
        (37, 29), [(16, 2, 65535), (4, 3, 20000)], {"turn": 40, "largest": 100, "escapes": 0.1, "seed": 1},
    ),
    "drawn-small": ((30, 41), [(2, 2, 1)], {"largest": 3, "seed": 2}),
    "drawn-silent": ((12, 13), [(4, 3, 500)], {"largest": 0, "spreads": (0, 0)}),
    "drawn-quiet": ((24, 26), [(2, 2, 65535)], {"largest": 0.15, "seed": 5}),
}  # fmt: skip
"""Arguments of drawn: steps that differ, clipping and escapes, steps below 1, zeros alone, hardly others."""


def main() -> None:
    """Write all cases: colour pictures of 17 x 11, one with alpha, one grey, and larger ones."""
    image = photo(11, 17)
    alpha = np.arange(11 * 17, dtype=np.uint8).reshape(11, 17)
    files = {name: crayoncodec.encode(image, **options) for name, options in CASES.items()}
    files["alpha"] = crayoncodec.encode(np.dstack([image, alpha]), n=5)
    files["grey"] = crayoncodec.encode(image[..., 0])
    files["palette"] = crayoncodec.encode(chart(30, 40))
    # Large enough for WebP to be the smaller grid coder.
    files["grid-webp"] = crayoncodec.encode(photo(48, 64), n=2, quality=30)
    for name, (height, width, options) in NESTED.items():
        files[name] = crayoncodec.encode(photo(height, width), **options)
    noise = np.random.default_rng(0).integers(0, 256, (60, 72, 3), dtype=np.uint8)
    files["nested-chunks"] = crayoncodec.encode(noise, color_quality=100, quality=50)
    files |= {name: drawn(*given, **options) for name, (*given, options) in DRAWN.items()}
    told = container.unpack(crayoncodec.encode(photo(20, 30), effort=1))
    files["nested-told"] = container.pack(replace(told, painting="refined 1"))
    for name, data in files.items():
        if (FOLDER / f"{name}.cray").exists():
            continue
        (FOLDER / f"{name}.cray").write_bytes(data)
        (FOLDER / f"{name}.json").write_text(json.dumps(integers(data)) + "\n")
    intermediate = FOLDER.parent / "intermediate.tsv"
    if not intermediate.exists():
        notes = Notes()
        independent_decoder.decode((FOLDER / "nested-fine.cray").read_bytes(), note=notes)
        intermediate.write_text("".join(notes.lines))


if __name__ == "__main__":
    main()
