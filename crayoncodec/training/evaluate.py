"""A network in the decoder, over the spacing: what ``cray eval`` prints."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection
from dataclasses import asdict
from pathlib import Path
from typing import Final

import numpy as np
from tqdm import tqdm

from crayoncodec.color import cielab, srgb
from crayoncodec.color.geometry import Sampling
from crayoncodec.color.grid import sample_grid
from crayoncodec.encoding import metrics
from crayoncodec.errors import CrayError, TrainingError
from crayoncodec.files import images
from crayoncodec.painting.recolorize import Backend, painter, whole
from crayoncodec.training.data import pictures

MEASURES: Final = ("psnr_rgb", "ab_ssim", "ab_mse", "ciede2000_mean")
Report = dict[int, dict[str, dict[str, float]]]
"""n -> "guided" or "network" -> measure -> mean over the pictures.

``exact`` is the number of pictures without any error, as grey ones have: their PSNR is infinite, and not part
of its mean, which is infinite only where there are no others.
"""


def evaluate(
    backend: Backend,
    sources: Collection[Path],
    spacings: Collection[int],
    sampling: Sampling,
    without: Collection[str] = (),
    say: Callable[[str], None] = lambda line: None,
) -> tuple[Report, int]:
    """Every whole picture of ``sources``, lightness rounded but not coded, step 1; and how many there were.

    Pictures that cannot be read are said and left out. Raises TrainingError if there are none.
    """
    found: dict[int, dict[str, list[dict[str, float]]]] = {n: {"guided": [], "network": []} for n in spacings}
    count = 0
    for name, data in tqdm(pictures(sources), unit=" pictures"):
        if any(name.endswith(end) for end in without):
            continue
        try:
            if data is None:
                raise OSError("it cannot be read")
            rgb = images.open_rgb(data)
        except (CrayError, OSError) as error:
            say(f"{name} is left out: {error}")
            continue
        count += 1
        lightness, ab = cielab.rgb_to_lab(rgb)
        plane = cielab.lightness_to_u8(lightness)
        for n in spacings:
            grid = sample_grid(ab, n, sampling)
            for decoder, using in (("guided", None), ("network", backend)):
                painted = painter(plane, grid, using)(whole(plane))
                decoded = srgb.lab_to_rgb(plane, painted)
                values = asdict(metrics.compare(rgb, decoded))
                # Before conversion to 8-bit RGB, as networks are trained.
                values["ab_mse"] = float(np.square(ab.astype(np.float64) - painted).mean())
                found[n][decoder].append(values)
    if not count:
        raise TrainingError(f"no picture that can be read in {', '.join(map(str, sources))}")
    return {
        n: {
            decoder: {name: _mean([value[name] for value in values]) for name in MEASURES}
            | {"exact": sum(math.isinf(value["psnr_rgb"]) for value in values)}
            for decoder, values in by_decoder.items()
        }
        for n, by_decoder in found.items()
    }, count


def _mean(values: list[float]) -> float:
    return float(np.mean([value for value in values if math.isfinite(value)] or values))
