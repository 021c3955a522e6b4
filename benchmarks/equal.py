"""Whole files of equal quality: what ours takes for the PSNR of L* and the mean CIEDE2000 of a rival's file.

Lightness quality is the least with which the PSNR is the rival's, colour quality then the least with which
CIEDE2000 is. Both are whole numbers, so ours is a little better than asked in both.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from benchmarks.codecs import CODECS
from benchmarks.results import Values
from crayoncodec import metrics
from crayoncodec.encoder import least

_RIVAL = "AVIF 4:2:0"
_QUALITIES = (35, 50, 65, 80)
_OURS = ("cray, effort 7", "cray without a network")

SETTINGS = {
    codec: tuple(f"{_RIVAL} quality={quality}" for quality in _QUALITIES) for codec in _OURS
}  # fmt: skip


def measure(codec: str, setting: str, rgb: np.ndarray) -> Values:
    """Bytes of both files, our qualities, and both files' PSNR of L* and mean CIEDE2000."""
    rival, quality = setting.rsplit(" quality=", 1)
    data = CODECS[rival].encode(rgb, {"quality": int(quality)})
    theirs = metrics.compare(rgb, CODECS[rival].decode(data))
    ours = CODECS[codec]

    def coded(lightness: int, color: int) -> tuple[bytes, metrics.Comparison]:
        data = ours.encode(rgb, {"quality": lightness, "color_quality": color})
        return data, metrics.compare(rgb, ours.decode(data))

    def sufficient(color: int) -> int:
        return _least(lambda q: coded(q, color)[1].psnr_lightness >= theirs.psnr_lightness)

    lightness = sufficient(20)
    color = _least(lambda q: coded(lightness, q)[1].ciede2000_mean <= theirs.ciede2000_mean)
    own, found = coded(lightness, color)
    if (
        found.psnr_lightness < theirs.psnr_lightness
    ):  # other colours are clipped at another expense of lightness
        lightness = sufficient(color)
        own, found = coded(lightness, color)
    if found.psnr_lightness < theirs.psnr_lightness or found.ciede2000_mean > theirs.ciede2000_mean:
        raise ValueError("no quality is as good as the rival's")
    return {
        "rival_bytes": len(data),
        "bytes": len(own),
        "quality": lightness,
        "color_quality": color,
        "psnr_lightness": found.psnr_lightness,
        "rival_psnr_lightness": theirs.psnr_lightness,
        "ciede2000_mean": found.ciede2000_mean,
        "rival_ciede2000_mean": theirs.ciede2000_mean,
    }


def _least(good: Callable[[int], bool]) -> int:
    """As ``least``; 100 if none is, and what is measured then says so."""
    return min(least(0, good), 100)
