"""The suites: what is measured, of which codec, at which setting. A suite is one function of one picture."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from benchmarks import choices, colors, equal, files, grids, painting, speed, stages, times
from benchmarks.codecs import CODECS
from benchmarks.results import Values


@dataclass(frozen=True)
class Suite:
    """A name, its codecs with their settings, and the function that measures one of them on a picture."""

    name: str
    settings: dict[str, tuple[str, ...]]
    measure: Callable[[str, str, np.ndarray], Values]
    """Codec, setting, u8[H,W,3] -> values; asked only where ``versions`` found the codec."""
    versions: Callable[[str], dict[str, str]] = lambda codec: CODECS[codec].versions()
    """Codec -> its libraries and their versions. Raises codecs.Unavailable."""
    timed: bool = False
    """Whether it times: then one process works at a time, and on a few pictures."""
    sizes: tuple[float, ...] = ()
    """Megapixels: the pictures are then made of the dataset's by tiling."""


SUITES: dict[str, Suite] = {
    suite.name: suite
    for suite in (
        Suite("files", files.SETTINGS, files.measure),
        Suite("colors", colors.SETTINGS, colors.measure),
        Suite("equal", equal.SETTINGS, equal.measure),
        Suite("grids", grids.SETTINGS, grids.measure, grids.versions),
        Suite("choices", choices.SETTINGS, choices.measure, choices.versions),
        Suite("painting", painting.SETTINGS, painting.measure, painting.versions),
        Suite("times", times.SETTINGS, times.measure, timed=True),
        Suite("speed", speed.SETTINGS, speed.measure, timed=True, sizes=speed.SIZES),
        Suite("stages", stages.SETTINGS, stages.measure, stages.versions, timed=True, sizes=stages.SIZES),
    )
}
