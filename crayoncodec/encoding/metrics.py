"""How far a picture is from its original (docs/metrics.md); what ``cray compare`` prints."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, cast

import cv2
import numpy as np
from numpy.typing import NDArray

from crayoncodec.color.cielab import rgb_to_lab
from crayoncodec.color.differences import CHROMA, HUE

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]
U8 = NDArray[np.uint8]

_SSIM_RANGE: Final = 255.0
_SSIM_WINDOW: Final = (11, 11)
_SSIM_SIGMA: Final = 1.5


@dataclass(frozen=True)
class Comparison:
    """Differences of two pictures of one size."""

    psnr_rgb: float
    """Peak signal-to-noise ratio over all RGB values, peak 255, in dB; infinite for equal pictures."""
    psnr_lightness: float
    """The same of L*, peak 100."""
    ab_mse: float
    """Mean squared error over a* and b*, in CIELAB units squared."""
    ciede2000_mean: float
    """Mean colour difference CIEDE2000."""
    ciede2000_p95: float
    """Its 95th percentile."""
    ciede2000_p99: float
    """Its 99th percentile: small things that lost their colour."""
    ab_ssim: float
    """Mean SSIM of a* and b*: our stand-in for the paper's CSIM, whose formula is not published."""


def compare(first: U8, second: U8) -> Comparison:
    """Compare two sRGB pictures u8[H,W,3]. Raises ValueError if their sizes differ."""
    if first.shape != second.shape:
        sizes = [f"{image.shape[1]} x {image.shape[0]}" for image in (first, second)]
        raise ValueError(f"pictures are {sizes[0]} and {sizes[1]}, expected one size")
    (l1, ab1), (l2, ab2) = rgb_to_lab(first), rgb_to_lab(second)
    differences = ciede2000(l1, ab1, l2, ab2)
    return Comparison(
        psnr_rgb=_psnr(first.astype(np.float64) - second, 255),
        psnr_lightness=_psnr(l1.astype(np.float64) - l2, 100),
        ab_mse=float(np.mean(np.square(ab1.astype(np.float64) - ab2))),
        ciede2000_mean=float(differences.mean()),
        ciede2000_p95=float(np.percentile(differences, 95)),
        ciede2000_p99=float(np.percentile(differences, 99)),
        ab_ssim=float(np.mean([ssim(x, y) for x, y in zip(ab1, ab2, strict=True)])),
    )


def ciede2000(l1: F32, ab1: F32, l2: F32, ab2: F32) -> F64:
    """CIEDE2000 per pixel, f64[H,W], k_L = k_C = k_H = 1 (Sharma, Wu and Dalal 2005, equations 2 to 22).

    l1, l2: L* [H,W]; ab1, ab2: [2,H,W].
    """
    (a1, b1), (a2, b2) = ab1.astype(np.float64), ab2.astype(np.float64)
    mean_c7 = ((np.hypot(a1, b1) + np.hypot(a2, b2)) / 2) ** 7
    stretch = 1 + 0.5 * (1 - np.sqrt(mean_c7 / (mean_c7 + 25.0**7)))
    c1, c2 = np.hypot(a1 * stretch, b1), np.hypot(a2 * stretch, b2)
    h1, h2 = (np.arctan2(b, a * stretch) % (2 * np.pi) for a, b in ((a1, b1), (a2, b2)))
    chromatic = c1 * c2 > 0
    turn = np.where(chromatic, (h2 - h1 + np.pi) % (2 * np.pi) - np.pi, 0)
    # The formula keeps a half turn positive; the remainder above makes it negative.
    turn = np.where(turn == -np.pi, np.where(h2 > h1, np.pi, -np.pi), turn)
    hue = np.where(chromatic, h1 + turn / 2, h1 + h2)
    delta_l, delta_c = l2.astype(np.float64) - l1, c2 - c1
    delta_h = 2 * np.sqrt(c1 * c2) * np.sin(turn / 2)
    weight = (
        1
        - 0.17 * np.cos(hue - np.pi / 6)
        + 0.24 * np.cos(2 * hue)
        + 0.32 * np.cos(3 * hue + np.pi / 30)
        - 0.20 * np.cos(4 * hue - np.deg2rad(63))
    )
    mean_l, mean_c = (l1.astype(np.float64) + l2) / 2, (c1 + c2) / 2
    s_l = 1 + 0.015 * (mean_l - 50) ** 2 / np.sqrt(20 + (mean_l - 50) ** 2)
    s_c = 1 + CHROMA * mean_c
    s_h = 1 + HUE * mean_c * weight
    degrees = np.rad2deg(hue) % 360
    rotation = -np.sin(np.deg2rad(60) * np.exp(-(((degrees - 275) / 25) ** 2)))
    rotation *= 2 * np.sqrt(mean_c**7 / (mean_c**7 + 25.0**7))
    l_term, c_term, h_term = delta_l / s_l, delta_c / s_c, delta_h / s_h
    result: F64 = np.sqrt(l_term**2 + c_term**2 + h_term**2 + rotation * c_term * h_term)
    return result


def ssim(first: F32, second: F32) -> float:
    """Mean structural similarity of two planes (Wang et al. 2004): range 255, 11 x 11 Gaussian, sigma 1.5."""
    x, y = first.astype(np.float64), second.astype(np.float64)

    def blur(plane: F64) -> F64:
        return cast(F64, cv2.GaussianBlur(plane, _SSIM_WINDOW, _SSIM_SIGMA, borderType=cv2.BORDER_REFLECT))

    c1, c2 = (0.01 * _SSIM_RANGE) ** 2, (0.03 * _SSIM_RANGE) ** 2
    mean_x, mean_y = blur(x), blur(y)
    var_x, var_y = blur(x * x) - mean_x**2, blur(y * y) - mean_y**2
    covariance = blur(x * y) - mean_x * mean_y
    similarity = (2 * mean_x * mean_y + c1) * (2 * covariance + c2)
    similarity /= (mean_x**2 + mean_y**2 + c1) * (var_x + var_y + c2)
    return float(similarity.mean())


def _psnr(error: F64, peak: float) -> float:
    mse = float(np.mean(np.square(error)))
    return float("inf") if mse == 0 else 10 * float(np.log10(peak**2 / mse))
