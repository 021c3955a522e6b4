"""Files and checkpoints that are painted with."""

from __future__ import annotations

import shutil

import pytest
from pictures import photo

import crayoncodec
from crayoncodec.machine.process import models_folder


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


@pytest.fixture
def copied(tmp_path):
    """A copy of a shipped checkpoint, its weights and its card."""
    for suffix in (".safetensors", ".json"):
        shutil.copy(models_folder() / f"compact{suffix}", tmp_path)
    return tmp_path / "compact.safetensors"
