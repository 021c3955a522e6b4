"""One grid beside exact lightness: the paper's Figure 2, and the networks on its spacings."""

from __future__ import annotations

from benchmarks.measuring.results import Results
from benchmarks.suites.spacings import LIGHTNESS
from benchmarks.tables.cells import HOLE, SPACING, gain, markdown, means, percentage, written

MEANS = ("guided, means", "compact, means")
PICTURES_AT = ("n=6", "n=10", "n=20", "n=40")


def figure2(found: Results) -> str:
    """PSNR in dB / ab-SSIM over the spacing, with sizes relative to raw."""
    shown = decoders(found)
    rows = []
    for setting in found.settings("grids", shown[0]):
        sizes = relative_sizes(found, setting)
        cells = _pairs(found, setting, {"psnr_rgb": 2, "ab_ssim": 3})
        rows.append([setting.removeprefix("n="), *(written(size, 4) for size in sizes.values()), *cells])
    return markdown(["n", *sizes, *shown], rows)


def grids(found: Results) -> str:
    """AB MSE / mean CIEDE2000 over the spacing."""
    shown = decoders(found)
    rows = []
    for setting in found.settings("grids", shown[0]):
        cells = _pairs(found, setting, {"ab_mse": 2, "ciede2000_mean": 2})
        bpp = written(_grid_bpp(found, setting), 4)
        rows.append(
            [setting.removeprefix("n="), bpp, *cells, percentage(gain(found, "grids", MEANS, setting))]
        )
    return markdown(["n", "means, bpp", *shown, "compact against guided"], rows)


def pictures(found: Results) -> str:
    """AB MSE of guided, and of compact against it in percent, picture by picture."""
    settings = [setting for setting in found.settings("grids", MEANS[0]) if setting in PICTURES_AT]
    rows = []
    for picture in found.pictures("grids"):
        cells = []
        for setting in settings:
            guided, compact = (
                found.values("grids", codec, setting, "ab_mse").get(picture) for codec in MEANS
            )
            known = guided is not None and compact is not None
            cells.append(f"{guided:.2f} {percentage(compact / guided - 1)}" if known else HOLE)
        rows.append([picture, *cells])
    return markdown(["", *settings], rows)


def relative_sizes(found: Results, setting: str) -> dict[str, float | None]:
    """Bytes over those of the raw picture: the paper's equation 1, corrected, and of lossless planes."""
    lightness, grid = found.mean("grids", LIGHTNESS, "webp", "bpp"), _grid_bpp(found, setting)
    planes = None if lightness is None or grid is None else (lightness + grid) / 24
    return bounds(setting) | {"lossless planes": planes}


def bounds(setting: str) -> dict[str, float | None]:
    """Equation 1 of the paper, and corrected; None for a setting without a spacing."""
    spacing = SPACING.search(setting)
    if spacing is None:
        return {"1/3 + 1/n²": None, "1/3 + 2/(3n²)": None}
    n = int(spacing[1])
    return {"1/3 + 1/n²": 1 / 3 + 1 / n**2, "1/3 + 2/(3n²)": 1 / 3 + 2 / (3 * n**2)}


def decoders(found: Results) -> list[str]:
    """Those of the suite ``grids``."""
    return [codec for codec in found.codecs("grids") if codec != LIGHTNESS]


def _pairs(found: Results, setting: str, measures: dict[str, int]) -> list[str]:
    """Two means of every decoder; measures: name -> digits."""
    return [" / ".join(means(found, "grids", (codec, setting), measures)) for codec in decoders(found)]


def _grid_bpp(found: Results, setting: str) -> float | None:
    """Of the grid of cell means; it is the same for every decoder."""
    sizes = (found.mean("grids", codec, setting, "grid_bpp") for codec in decoders(found) if "means" in codec)
    return next((size for size in sizes if size is not None), None)
