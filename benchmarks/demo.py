"""``make demo``: one photograph through the codec, decoded three ways, side by side in demo/."""

from __future__ import annotations

import time
from pathlib import Path

from PIL import Image
from skimage import data as pictures

import crayoncodec
from benchmarks.sheet import arranged
from crayoncodec import metrics
from crayoncodec.codec import COLORS

FOLDER = Path("demo")
SPACING = 20
JPEG_QUALITY = 92


def main() -> None:
    """Encode, decode, measure, and leave demo/photo.cray and demo/side-by-side.png."""
    FOLDER.mkdir(exist_ok=True)
    photo = pictures.astronaut()
    png, jpeg, cray = (FOLDER / f"photo.{extension}" for extension in ("png", "jpg", "cray"))
    Image.fromarray(photo).save(png)
    Image.fromarray(photo).save(jpeg, quality=JPEG_QUALITY)

    with Image.open(png) as image:
        seconds, data = _timed(lambda: crayoncodec.encode(image, n=SPACING))
    cray.write_bytes(data)
    found = crayoncodec.info(data)
    (grid,) = found.grids
    chunks = {chunk.type: chunk.size for chunk in found.chunks}
    pixels = found.width * found.height
    print(f"photograph: NASA's portrait of Eileen Collins (public domain), {found.width} x {found.height}")
    print(f"cray encode photo.png -n {SPACING}: {seconds:.2f} s")
    for name, size in (
        ("raw", photo.size),
        ("PNG", png.stat().st_size),
        (f"JPEG, quality {JPEG_QUALITY}", jpeg.stat().st_size),
        (".cray", len(data)),
        ("  its lightness", chunks["LGHT"]),
        (f"  its {grid.columns} x {grid.rows} colours", chunks["GRID"]),
    ):
        print(f"  {name:22} {size:9,} bytes {8 * size / pixels:7.3f} bpp {size / photo.size:7.4f} of raw")
    print(f"  the paper's bound 1/3 + 1/n² = {found.paper_bound:.4f} of raw\n")

    panels = [("original", photo)]
    for kind in COLORS:
        decoder = crayoncodec.Decoder(color=kind, device="cpu")
        first, _ = _timed(lambda decoder=decoder: decoder.decode(data))
        again, decoded = _timed(lambda decoder=decoder: decoder.decode(data))
        result = metrics.compare(photo, decoded)
        print(
            f"cray decode --color {kind:7} {again:5.2f} s (the first time {first:5.2f} s)  "
            f"PSNR {result.psnr_rgb:.2f} dB  AB MSE {result.ab_mse:7.2f}  "
            f"CIEDE2000 {result.ciede2000_mean:.2f}, 95 % under {result.ciede2000_p95:.2f}"
        )
        panels.append((kind, decoded))
    arranged(panels, len(panels)).save(FOLDER / "side-by-side.png")
    print(f"\nlook at {FOLDER / 'side-by-side.png'}")


def _timed(function):
    start = time.perf_counter()
    result = function()
    return time.perf_counter() - start, result


if __name__ == "__main__":
    main()
