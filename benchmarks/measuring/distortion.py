"""How far a decoded picture is from its original: what every table is made of (docs/metrics.md)."""

from __future__ import annotations

import io
import math
from dataclasses import asdict

import numpy as np
from PIL import Image

from crayoncodec.color import cielab
from crayoncodec.encoding import metrics


def of_picture(original: np.ndarray, decoded: np.ndarray) -> dict[str, float]:
    """All of ``cray compare`` and SSIMULACRA2, for u8[H,W,3] sRGB pictures; infinite PSNRs are left out."""
    from ssimulacra2 import compute_ssimulacra2

    values = asdict(metrics.compare(original, decoded))
    values["ssimulacra2"] = float(compute_ssimulacra2(_file(original), _file(decoded)))
    return {name: value for name, value in values.items() if math.isfinite(value)}


def of_color(original: np.ndarray, decoded: np.ndarray) -> dict[str, float]:
    """The same of the colour alone: the decoded picture's AB beside the original's lightness."""
    lightness, ab = cielab.rgb_to_lab(original)
    return of_ab(lightness, ab, cielab.rgb_to_lab(decoded)[1])


def of_ab(lightness: np.ndarray, ab: np.ndarray, estimate: np.ndarray) -> dict[str, float]:
    """AB MSE and CIEDE2000 of AB planes f32[2,H,W] at equal lightness f32[H,W]."""
    differences = metrics.ciede2000(lightness, ab, lightness, estimate)
    return {
        "ab_mse": float(np.square(ab.astype(np.float64) - estimate).mean()),
        "ciede2000_mean": float(differences.mean()),
        "ciede2000_p95": float(np.percentile(differences, 95)),
        "ciede2000_p99": float(np.percentile(differences, 99)),
    }


def _file(picture: np.ndarray) -> io.BytesIO:
    """What ssimulacra2 reads: any file that Pillow opens."""
    stream = io.BytesIO()
    Image.fromarray(picture).save(stream, "PPM")
    stream.seek(0)
    return stream
