"""Networks that were trained to be compared."""

from __future__ import annotations

from benchmarks.codecs.ours import GUIDED
from benchmarks.codecs.rivals import ANCHORS
from benchmarks.measuring.results import Results
from benchmarks.tables.cells import gain, markdown, mean_and_worst, percentage
from benchmarks.tables.color_bytes import curve, rates


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
