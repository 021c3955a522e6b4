"""The suites: what is measured, of which codec, at which setting. A suite is one function of one picture."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from benchmarks.codecs import CODECS
from benchmarks.measuring.results import Values
from benchmarks.suites import choices, curves, equal, samples, spacings, speed, stages, worth


@dataclass(frozen=True)
class Suite:
    """A name, its codecs with their settings, and the function that measures one of them on a picture."""

    name: str
    settings: dict[str, tuple[str, ...]]
    measure: Callable[[str, str, np.ndarray], Values]
    """Codec, setting, u8[H,W,3] -> values; asked only where ``versions`` found the codec."""
    versions: Callable[[str], dict[str, str]] = lambda codec: CODECS[codec].versions()
    """Codec -> its libraries and their versions. Raises Unavailable."""
    timed: bool = False
    """Whether it times: then one process works at a time, and on a few pictures."""
    sizes: tuple[float, ...] = ()
    """Megapixels: the pictures are then made of the dataset's by tiling."""


SUITES: dict[str, Suite] = {
    suite.name: suite
    for suite in (
        Suite("files", curves.FILES, curves.measure_file),
        Suite("colors", curves.COLORS, curves.measure_color),
        Suite("equal", equal.SETTINGS, equal.measure),
        Suite("grids", spacings.SETTINGS, spacings.measure, spacings.versions),
        Suite("samples", samples.SETTINGS, samples.measure, samples.versions),
        Suite("choices", choices.SETTINGS, choices.measure, choices.versions),
        Suite("painting", worth.SETTINGS, worth.measure, worth.versions),
        Suite("times", curves.FILES, speed.measure_setting, timed=True),
        Suite("speed", speed.TYPICAL, speed.measure_size, timed=True, sizes=speed.SIZES),
        Suite("stages", stages.SETTINGS, stages.measure, stages.versions, timed=True, sizes=stages.SIZES),
    )
}
