"""Files and checkpoints that are painted with."""

from __future__ import annotations

import pytest
from pictures import photo

import crayoncodec


@pytest.fixture(scope="module")
def coded():
    """Nested grids and one grid, odd sizes, one of them of several tiles."""
    return [
        crayoncodec.encode(photo(*shape, seed=seed), **options)
        for seed, (shape, options) in enumerate(
            [
                ((141, 203), {}),
                ((3, 97), {}),
                ((1, 1), {}),
                ((99, 161), {"n": 5}),
                ((1801, 53), {"quality": 60}),
            ]
        )
    ]
