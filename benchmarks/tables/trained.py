"""Networks that were trained to be compared."""

from __future__ import annotations

from statistics import mean

from benchmarks.codecs.ours import GUIDED
from benchmarks.codecs.rivals import ANCHORS
from benchmarks.measuring.results import Results
from benchmarks.tables.cells import gain, markdown, mean_and_worst, percentage
from benchmarks.tables.color_bytes import curve, rates

TRAINING, ANCHOR = "training", ANCHORS[0]
LEARNT = {part: f"pictures learnt from, {part}" for part in ("in the loop", "behind it")}
"""Networks of nested grids -> the fact that says how much they learnt from."""
MEASURES = {"ab_mse": "AB MSE", "ciede2000_mean": "CIEDE2000"}


def study(found: Results) -> str:
    """AB MSE against the guided decoder, whole pictures / without their borders; trained for equal times."""
    return _trainings(found, "study", ("changed", "steps", "MAC per pixel"))


def sizes(found: Results) -> str:
    """AB MSE against the guided decoder, whole pictures / without their borders; trained for equal steps."""
    return _trainings(found, "sizes", ("parameters", "MAC per pixel", "steps"))


def nested_sizes(found: Results) -> str:
    """BD-rate of colour bytes over AB MSE 3 to 10, mean / worst picture, by cost of loop and network."""
    suite, rows = "nested-sizes", []
    curves = {name: curve(found, suite, name, "ab_mse") for name in found.codecs(suite)}
    for name, ours in curves.items():
        if name in ANCHORS:
            continue
        cells = []
        for anchor in ANCHORS:
            figures = rates(curves[anchor], ours, "ab_mse")
            cells.append(mean_and_worst(figures, len(found.pictures(suite))))
        network = int(found.versions[name]["MAC per pixel"]) if name != GUIDED else 0
        rows.append([name, f"{loop_macs() + network:,}", *cells])
    return markdown(["", "MAC per pixel", *(f"against {anchor}" for anchor in ANCHORS)], rows)


def training(found: Results) -> str:
    """BD-rates over AB MSE / CIEDE2000 against AVIF tune=psnr, of pictures that have one in every row."""
    figures = [gains(found, measure) for measure in MEASURES]
    sets = list(dict.fromkeys(of for one in figures for of in one))
    rows = []
    for name in found.codecs(TRAINING):
        if name != ANCHOR:
            learnt = (f"{int(found.versions[name][fact]):,}" for fact in LEARNT.values())
            cells = (" / ".join(percentage(one.get(of, {}).get(name)) for one in figures) for of in sets)
            rows.append([name, *learnt, *cells])
    return markdown(["", *LEARNT.values(), *sets], rows)


def lines(found: Results, measure: str) -> dict[str, list[tuple[float, float]]]:
    """Set of pictures and networks -> how much these learnt from, and the gain; the others at their best."""
    learnt = {
        part: {name: int(its[fact]) for name, its in found.versions.items() if name != ANCHOR}
        for part, fact in LEARNT.items()
    }
    drawn: dict[str, list[tuple[float, float]]] = {}
    for of, figures in gains(found, measure).items():
        for part, counts in learnt.items():
            others = [each for other, each in learnt.items() if other != part]
            names = [name for name in figures if all(each[name] == max(each.values()) for each in others)]
            drawn[f"{of}, networks {part}"] = sorted((counts[name], 100 * figures[name]) for name in names)
    return drawn


def gains(found: Results, measure: str) -> dict[str, dict[str, float]]:
    """Set of pictures -> name of a training -> mean BD-rate, over pictures that have one for every name."""
    anchor = curve(found, TRAINING, ANCHOR, measure)
    rated: dict[str, dict[str, list[float]]] = {}
    for name in found.codecs(TRAINING):
        if name != ANCHOR:
            for picture, points in curve(found, TRAINING, name, measure).items():
                figures = rates({picture: anchor[picture]}, {picture: points}, measure)
                rated.setdefault(picture, {})[name] = figures
    sets: dict[str, dict[str, list[float]]] = {}
    for picture, by_name in rated.items():
        if all(by_name.values()):
            of = sets.setdefault(picture.partition("/")[0], {})
            for name, figures in by_name.items():
                of.setdefault(name, []).extend(figures)
    return {name: {each: mean(figures) for each, figures in of.items()} for name, of in sets.items()}


def loop_macs() -> int:
    """Multiply-accumulates per pixel of the networks in the loop, of levels down to spacing 4."""
    from crayoncodec.color import predictor

    # A level of spacing n has blocks of 2n x 2n pixels.
    weights = sum(layer.weights.size for layer in predictor.load(predictor.VERSION).coarse.layers.values())
    return round(sum(weights / (2 * n) ** 2 for n in (4, 8, 16, 32, 64)))


def _trainings(found: Results, suite: str, facts: tuple[str, ...]) -> str:
    settings, measures = found.settings(suite, GUIDED), ("ab_mse", "ab_mse_inner")
    rows = []
    for name in found.codecs(suite):
        if name != GUIDED:
            gains = (
                " / ".join(
                    percentage(gain(found, suite, (GUIDED, name), setting, measure)) for measure in measures
                )
                for setting in settings
            )
            rows.append([name, *(found.versions[name][fact] for fact in facts), *gains])
    return markdown(["", *facts, *settings], rows)
