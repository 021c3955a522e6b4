"""Whole files: some of them side by side, all of them, BD-rates, files of equal quality."""

from __future__ import annotations

from statistics import mean

from benchmarks.codecs.rivals import AVIF
from benchmarks.measuring.results import Results
from benchmarks.tables.bdrate import by_picture, curve_of
from benchmarks.tables.cells import (
    HOLE,
    all_settings,
    markdown,
    means,
    named,
    percentage,
    percentages,
    written,
)
from benchmarks.tables.one_grid import bounds

BESIDE = (
    ("JPEG 4:2:0", "quality=92"), ("WebP", "quality=92"), ("AVIF 4:2:0", "quality=80"),
    ("JPEG XL", "quality=85"), ("HEIC", "quality=60"),
    *((f"cray n={n}", f"n={n} quality={quality}") for n, quality in ((20, 80), (10, 80), (6, 80), (6, 90))),
    ("cray one grid", "n=4 quality=80"),
    *(("cray", f"quality={quality}") for quality in (65, 80, 90)),
)  # fmt: skip
"""What a user may choose between; the first is what the others are compared with."""


def beside(found: Results) -> str:
    """What a user may choose between; bytes in percent of the first one's."""
    measures = {"ssimulacra2": 1, "psnr_lightness": 1, "ciede2000_mean": 2, "ciede2000_p99": 1}
    first = found.values("files", *BESIDE[0], "bytes")
    rows = []
    for choice in BESIDE:
        sizes = found.values("files", *choice, "bytes")
        share, smaller = HOLE, HOLE
        if first and sizes.keys() == first.keys():
            share = f"{100 * sum(sizes.values()) / sum(first.values()):.0f} %"
            smaller = f"{sum(sizes[name] < first[name] for name in sizes)} of {len(sizes)}"
        bpp, *figures = means(found, "files", choice, {"bpp": 2} | measures)
        rows.append([named(*choice), bpp, share, smaller, *figures])
    return markdown(["", "bpp", "of the JPEG's bytes", "smaller than it", *measures], rows)


def files(found: Results) -> str:
    """Means over the pictures at every setting; ratio is bytes over raw, beside the paper's bounds of it."""
    measures = {
        "bpp": 2, "ratio": 4, "ssimulacra2": 1, "psnr_rgb": 2, "psnr_lightness": 2, "ab_mse": 2,
        "ciede2000_mean": 2, "ciede2000_p95": 2, "ciede2000_p99": 2, "ab_ssim": 3,
    }  # fmt: skip
    rows = [
        [*row, *(written(bound, 4) for bound in bounds(row[1]).values())]
        for row in all_settings(found, "files", measures)
    ]
    return markdown(["codec", "setting", *measures, *bounds("")], rows)


def rates(found: Results) -> str:
    """BD-rate of the whole file on three qualities, the mean over the pictures that have one."""
    signs = {"ssimulacra2": 1, "psnr_lightness": 1, "ciede2000_mean": -1}
    rows = []
    for codec in found.codecs("files"):
        cells = []
        for measure, sign in signs.items():
            curves = [
                curve_of(found, "files", name, "bpp", measure, lambda value, s=sign: s * value)
                for name in (AVIF, codec)
            ]
            cells.append(percentages(by_picture(*curves), len(found.pictures("files"))))
        if any(cell != HOLE for cell in cells):
            rows.append([codec, *cells])
    return markdown([f"BD-rate against {AVIF} (pictures)", *signs], rows)


def equal(found: Results) -> str:
    """Our whole file beside a rival's of the same PSNR of L* and the same mean CIEDE2000 (or better)."""
    kinds = {"bytes": "as good or better", "bytes_interpolated": "as good, interpolated"}
    rows = []
    for codec in found.codecs("equal"):
        for setting in found.settings("equal", codec):
            theirs = found.values("equal", codec, setting, "rival_bytes")
            cells = []
            for kind in kinds:
                ours = found.values("equal", codec, setting, kind)
                if not theirs or theirs.keys() != ours.keys():
                    cells += [HOLE] * 3
                    continue
                shares = [ours[name] / theirs[name] - 1 for name in ours]
                smaller = sum(share < 0 for share in shares)
                span = f"{percentage(min(shares))} to {percentage(max(shares))}"
                cells += [percentage(mean(shares)), span, f"{smaller} of {len(found.pictures('equal'))}"]
            if any(cell != HOLE for cell in cells):
                rows.append([codec, setting, *cells])
    columns = [f"{name}{what}" for name in kinds.values() for what in ("", ": best to worst", ": smaller")]
    return markdown(["decoder", "rival", *columns], rows)
