"""Metrics against published values and second implementations."""

from __future__ import annotations

import numpy as np
import pytest
from pictures import photo
from skimage.color import deltaE_ciede2000
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from crayoncodec.color.cielab import rgb_to_lab
from crayoncodec.encoding import metrics

# Sharma, Wu and Dalal 2005, table 1: pairs that take every branch of the formula.
SHARMA = [
    ((50.0, 2.6772, -79.7751), (50.0, 0.0, -82.7485), 2.0425),
    ((50.0, -1.3802, -84.2814), (50.0, 0.0, -82.7485), 1.0),
    ((50.0, 0.0, 0.0), (50.0, -1.0, 2.0), 2.3669),
    ((50.0, 2.49, -0.001), (50.0, -2.49, 0.0009), 7.1792),
    ((50.0, 2.49, -0.001), (50.0, -2.49, 0.0011), 7.2195),
    ((50.0, -0.001, 2.49), (50.0, 0.0011, -2.49), 4.7461),
    ((50.0, 2.5, 0.0), (50.0, 0.0, -2.5), 4.3065),
    ((50.0, 2.5, 0.0), (73.0, 25.0, -18.0), 27.1492),
    ((50.0, 2.5, 0.0), (56.0, -27.0, -3.0), 31.9030),
    ((60.2574, -34.0099, 36.2677), (60.4626, -34.1751, 39.4387), 1.2644),
    ((22.7233, 20.0904, -46.6940), (23.0331, 14.9730, -42.5619), 2.0373),
    ((2.0776, 0.0795, -1.1350), (0.9033, -0.0636, -0.5514), 0.9082),
]


@pytest.mark.parametrize(("first", "second", "expected"), SHARMA)
def test_ciede2000_is_that_of_the_published_table(first, second, expected):
    def planes(lab):
        return np.array([[lab[0]]]), np.array([[[lab[1]]], [[lab[2]]]])

    for one, two in ((first, second), (second, first)):
        assert metrics.ciede2000(*planes(one), *planes(two)).item() == pytest.approx(expected, abs=1e-4)


def test_measures_agree_with_scikit_image():
    first, second = photo(70, 90), photo(70, 90, seed=1)
    result = metrics.compare(first, second)
    assert result.psnr_rgb == pytest.approx(peak_signal_noise_ratio(first, second))
    (l1, ab1), (l2, ab2) = rgb_to_lab(first), rgb_to_lab(second)
    assert result.psnr_lightness == pytest.approx(peak_signal_noise_ratio(l1, l2, data_range=100), abs=1e-4)
    labs = [np.dstack([lightness, *ab]) for lightness, ab in ((l1, ab1), (l2, ab2))]
    differences = deltaE_ciede2000(*labs)
    assert result.ciede2000_mean == pytest.approx(differences.mean(), abs=1e-4)
    assert result.ciede2000_p95 == pytest.approx(np.percentile(differences, 95), abs=1e-3)
    assert result.ciede2000_p99 == pytest.approx(np.percentile(differences, 99), abs=1e-3)
    similarity = [
        structural_similarity(
            x, y, data_range=255, gaussian_weights=True, sigma=1.5, use_sample_covariance=False, full=True
        )[1].mean()
        for x, y in zip(ab1, ab2, strict=True)
    ]
    assert result.ab_ssim == pytest.approx(np.mean(similarity), abs=1e-4)


def test_a_picture_equals_itself():
    picture = photo(20, 30)
    result = metrics.compare(picture, picture)
    assert result == metrics.Comparison(float("inf"), float("inf"), 0.0, 0.0, 0.0, 0.0, 1.0)


def test_sizes_must_agree():
    with pytest.raises(ValueError, match="30 x 20 and 20 x 30"):
        metrics.compare(photo(20, 30), photo(30, 20))
