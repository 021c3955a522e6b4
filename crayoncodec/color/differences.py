"""How much a difference of two colours is seen: what CIEDE2000 says of it, simplified.

Luo, Cui and Rigg, "The development of the CIE 2000 colour-difference formula: CIEDE2000" (2001): differences
of chroma are divided by 1 + CHROMA C, those of hue by 1 + HUE C (times what depends on the hue itself, which
is left out here). ``encoding.metrics.ciede2000`` has the whole formula.
"""

from __future__ import annotations

from typing import Any, Final

CHROMA: Final = 0.045
HUE: Final = 0.015


def along(chroma: Any) -> Any:
    """What a squared difference of chroma counts at a chroma, of numbers, arrays or tensors: 1 at grey."""
    return 1 / (1 + CHROMA * chroma) ** 2


def across(chroma: Any) -> Any:
    """What a squared difference of hue counts at a chroma."""
    return 1 / (1 + HUE * chroma) ** 2
