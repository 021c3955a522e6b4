"""``make demo``: one photograph through the codec, nested grids and one grid, side by side in demo/."""

from __future__ import annotations

import time
from pathlib import Path

from PIL import Image
from skimage import data as pictures

import crayoncodec
from benchmarks.programs.sheet import arranged
from crayoncodec.codec import COLORS
from crayoncodec.encoding import metrics

FOLDER = Path("demo")
SPACING = 20
JPEG_QUALITY = 92
SHOWN = [kind for kind in COLORS if kind != "auto"]
"""Which is one of them."""


def main() -> None:
    """Encode, decode, measure, and leave two .cray files and demo/side-by-side.png."""
    FOLDER.mkdir(exist_ok=True)
    photo = pictures.astronaut()
    png, jpeg = FOLDER / "photo.png", FOLDER / "photo.jpg"
    Image.fromarray(photo).save(png)
    Image.fromarray(photo).save(jpeg, quality=JPEG_QUALITY)
    height, width = photo.shape[:2]
    print(f"photograph: NASA's portrait of Eileen Collins (public domain), {width} x {height}")
    for name, size in (
        ("raw", photo.size),
        ("PNG", png.stat().st_size),
        (f"JPEG, quality {JPEG_QUALITY}", jpeg.stat().st_size),
    ):
        print(_sized(name, size, photo))
    panels = []
    for name, arguments, options in (
        ("photo.cray", "", {}),
        (f"photo-n{SPACING}.cray", f" -n {SPACING}", {"n": SPACING}),
    ):
        with Image.open(png) as image:
            seconds, data = _timed(lambda image=image, options=options: crayoncodec.encode(image, **options))
        (FOLDER / name).write_bytes(data)
        print(f"\ncray encode photo.png{arguments} -o {name}: {seconds:.2f} s")
        print(_sized(name, len(data), photo))
        for kind, title in (("LGHT", "its lightness"), ("GRID", "its colours")):
            size = sum(chunk.size for chunk in crayoncodec.info(data).chunks if chunk.type == kind)
            print(_sized(f"  {title}", size, photo))
        panels.append(("original", photo))
        decoded = {kind: _decoded(kind, data, photo) for kind in COLORS}
        panels += [(f"{kind}{arguments}", decoded[kind]) for kind in SHOWN]
    arranged(panels, len(SHOWN) + 1).save(FOLDER / "side-by-side.png")
    print(f"\nlook at {FOLDER / 'side-by-side.png'}")


def _sized(name, size, photo):
    bpp = 8 * size / (photo.shape[0] * photo.shape[1])
    return f"  {name:22} {size:9,} bytes {bpp:7.3f} bpp {size / photo.size:7.4f} of raw"


def _decoded(kind, data, photo):
    decoder = crayoncodec.Decoder(color=kind, device="cpu")
    first, _ = _timed(lambda: decoder.decode(data))
    again, decoded = _timed(lambda: decoder.decode(data))
    result = metrics.compare(photo, decoded)
    print(
        f"cray decode --color {kind:7} {again:5.2f} s (the first time {first:5.2f} s)  "
        f"PSNR {result.psnr_rgb:.2f} dB  AB MSE {result.ab_mse:7.2f}  "
        f"CIEDE2000 {result.ciede2000_mean:.2f}, 95 % under {result.ciede2000_p95:.2f}"
    )
    return decoded


def _timed(function):
    start = time.perf_counter()
    result = function()
    return time.perf_counter() - start, result


if __name__ == "__main__":
    main()
