"""The colour alone: AB MSE and CIEDE2000 of each decoder, cell means, exact lightness, before RGB."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from tqdm import tqdm

from crayoncodec import checkpoints, color, metrics
from crayoncodec.backends import TorchBackend
from crayoncodec.codestreams import grids
from crayoncodec.grid import sample_grid
from crayoncodec.guided import GuidedModel, upsample
from crayoncodec.recolorize import painter

SPACINGS = (2, 4, 6, 10, 20, 40)
DECODERS = ("bicubic", "guided, no back projection", "guided", "network")


def measure(pictures: list[Path], model: str) -> dict[str, Any]:
    """Means over pictures of AB MSE, mean CIEDE2000 and bits per pixel of the grid, by spacing."""
    network, card = checkpoints.load(model)
    backend = TorchBackend(network, "cpu")
    rows: dict[int, list[Any]] = {n: [] for n in SPACINGS}
    for path in tqdm(pictures, unit=" pictures"):
        lightness, ab = color.rgb_to_lab(np.asarray(Image.open(path).convert("RGB")))
        plane = color.lightness_to_u8(lightness)
        whole = slice(0, plane.shape[0]), slice(0, plane.shape[1])
        for n in SPACINGS:
            grid = sample_grid(ab, n)
            fitted = GuidedModel.fit(grid, color.lightness_from_u8(plane))
            uncorrected = GuidedModel(np.concatenate([grid.ab(), fitted.cells[2:]]), n, grid.sampling)
            estimates = (
                upsample(grid.ab(), n, grid.sampling, (0, 0, *plane.shape)),
                uncorrected.planes(color.lightness_from_u8(plane)).base,
                painter(plane, grid)(whole),
                painter(plane, grid, backend)(whole),
            )
            rows[n].append({
                "ab_mse": [float(np.square(e - ab).mean()) for e in estimates],
                "ciede2000": [
                    float(metrics.ciede2000(lightness, ab, lightness, e).mean()) for e in estimates
                ],
                "grid_bpp": 8 * len(grids.encode(grid.samples)[0]) / lightness.size,
            })  # fmt: skip
    return {
        "pictures": [path.name for path in pictures],
        "model": {"name": card.name, "version": card.version, "sha256": card.sha256},
        "decoders": list(DECODERS),
        **{
            measure: {str(n): np.mean([row[measure] for row in rows[n]], axis=0).tolist() for n in SPACINGS}
            for measure in ("ab_mse", "ciede2000", "grid_bpp")
        },
    }


def table(results: dict[str, Any]) -> str:
    """Markdown: AB MSE / mean CIEDE2000."""
    lines = ["| n | grid, bpp | " + " | ".join(DECODERS) + " | network against guided |", "|---" * 7 + "|"]
    for n in SPACINGS:
        mse, delta = results["ab_mse"][str(n)], results["ciede2000"][str(n)]
        cells = [f"{m:.2f} / {d:.2f}" for m, d in zip(mse, delta, strict=True)]
        gain, research = (f"{100 * (mse[3] / mse[base] - 1):+.1f} %" for base in (2, 1))
        gain = f"{gain} ({research} without back projection)"
        lines.append(f"| {n} | {results['grid_bpp'][str(n)]:.4f} | " + " | ".join(cells) + f" | {gain} |")
    return "\n".join(lines)
