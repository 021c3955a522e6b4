"""Whole files: a .cray of the default settings against the camera-like JPEG of the same picture."""

from __future__ import annotations

import io
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from ssimulacra2 import compute_ssimulacra2
from tqdm import tqdm

import crayoncodec
from crayoncodec import metrics

JPEG = {"quality": 92, "subsampling": "4:2:0", "optimize": True}
VARIANTS: dict[str, dict[str, Any]] = {
    "default": {},
    "-n 10": {"n": 10},
    "-n 6": {"n": 6},
    "-n 6 -q 90": {"n": 6, "quality": 90},
}


def measure(pictures: list[Path]) -> dict[str, Any]:
    """Bytes, SSIMULACRA2, PSNR and CIEDE2000 for every picture, JPEG first."""
    decoder = crayoncodec.Decoder(device="cpu")
    rows: dict[str, list[dict[str, float]]] = {"JPEG q92 4:2:0": [], **{name: [] for name in VARIANTS}}
    with tempfile.TemporaryDirectory() as name:
        for path in tqdm(pictures, unit=" pictures"):
            original = np.asarray(Image.open(path).convert("RGB"))
            stream = io.BytesIO()
            Image.fromarray(original).save(stream, "JPEG", **JPEG)
            decoded = np.asarray(Image.open(stream))
            rows["JPEG q92 4:2:0"].append(_row(path, original, decoded, stream.tell(), Path(name)))
            for variant, options in VARIANTS.items():
                data = crayoncodec.encode(original, **options)
                rows[variant].append(_row(path, original, decoder.decode(data), len(data), Path(name)))
    return {"pictures": [path.name for path in pictures], "rows": rows}


def _row(path: Path, original: np.ndarray, decoded: np.ndarray, size: int, folder: Path) -> dict[str, float]:
    file = folder / "decoded.png"
    Image.fromarray(decoded).save(file, compress_level=1)
    compared = metrics.compare(original, decoded)
    return {
        "bytes": size,
        "bpp": 8 * size / (original.shape[0] * original.shape[1]),
        "ssimulacra2": float(compute_ssimulacra2(str(path), str(file))),
        "psnr_rgb": compared.psnr_rgb,
        "psnr_lightness": compared.psnr_lightness,
        "ciede2000_mean": compared.ciede2000_mean,
        "ciede2000_p95": compared.ciede2000_p95,
    }


def table(results: dict[str, Any]) -> str:
    """Markdown: means over pictures, and how often the .cray is the smaller file."""
    names = ("bpp", "ssimulacra2", "psnr_rgb", "psnr_lightness", "ciede2000_mean", "ciede2000_p95")
    lines = ["| | bytes | of JPEG | smaller than it | " + " | ".join(names) + " |", "|---" * 10 + "|"]
    jpeg = results["rows"]["JPEG q92 4:2:0"]
    for variant, rows in results["rows"].items():
        total = sum(row["bytes"] for row in rows)
        share = total / sum(row["bytes"] for row in jpeg)
        smaller = sum(ours["bytes"] < theirs["bytes"] for ours, theirs in zip(rows, jpeg, strict=True))
        means = [np.mean([row[name] for row in rows]) for name in names]
        cells = " | ".join(f"{mean:.2f}" for mean in means)
        lines.append(f"| {variant} | {total:,} | {100 * share:.1f} % | {smaller}/{len(rows)} | {cells} |")
    return "\n".join(lines)
