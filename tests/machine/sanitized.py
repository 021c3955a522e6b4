"""Run by test_kernels under the address sanitizer, with the module at argv[1] as the kernels."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import numpy as np

spec = importlib.util.spec_from_file_location("crayoncodec.machine._native", sys.argv[1])
assert spec is not None
assert spec.loader is not None
native = importlib.util.module_from_spec(spec)
spec.loader.exec_module(native)
sys.modules["crayoncodec.machine._native"] = native
import crayoncodec.machine  # noqa: E402

crayoncodec.machine._native = native
from crayoncodec import CrayError, codec  # noqa: E402
from crayoncodec.color import cielab, means, srgb  # noqa: E402
from crayoncodec.format import nested  # noqa: E402
from crayoncodec.machine import kernels, lab  # noqa: E402

assert kernels.are_there()
count = 0
for width in (1, 2, 95, 96, 97, 193):
    for side in (1, 3):
        for outputs in (1, 8, 9, 24, 33, 48):
            for version in range(native.best_version() + 1):
                layer = kernels.pack(
                    np.ones((outputs, 5, side, side), np.int8),
                    np.zeros(outputs, np.int32),
                    np.zeros(outputs, np.uint8),
                )
                out = np.empty((outputs, 3, width), np.int32)
                planes = (np.full((3, 3, width), 255, np.uint8), np.full((2, 3, width), -127, np.int8))
                kernels.convolve(layer, planes, slice(0, 3), out, which=version)
                count += 1
rng = np.random.default_rng(0)
for width in (1, 7, 255, 256, 257, 600):
    for dtype in (np.int32, np.float32):
        for version in range(native.best_version() + 1):
            # Exactly as much memory as there are pixels, and colours beyond all limits.
            ab = np.ascontiguousarray(
                rng.integers(-(2**31), 2**31, (2, 3, width)) >> rng.integers(0, 24)
            ).astype(dtype)
            lightness = rng.integers(0, 256, (3, width), dtype=np.uint8)
            lab.to_rgb(srgb._tables(), lightness, ab, np.empty((3, width, 3), np.uint8), version)
            count += 1
for spacing in (1, 2, 7, 65535):
    rgb = rng.choice(np.array([0, 9, 255], np.uint8), (11, 13, 3))
    means.mean_ab(rgb, spacing)
    cielab.stored_lightness(rgb)
    count += 1
for version in range(native.best_version() + 1):
    kernels.version = lambda version=version: version
    for height, width, spacing in ((1, 1, 1), (1, 150, 2), (129, 2, 4), (9, 301, 1), (70, 515, 2)):
        plane = rng.integers(0, 256, (height, width), np.uint8)
        cells = rng.normal(0, 30, (2, -(-height // spacing), -(-width // spacing))).astype(np.float32)
        for step in (900, 65535):
            grid = nested.encode(cells, plane, spacing, step)
            assert np.array_equal(nested.decode(grid.chunks, plane)[0], grid.samples)
            count += 1
for path in sorted(Path(sys.argv[2]).glob("*.cray")):
    data = path.read_bytes()
    codec.verify(data)
    for _ in range(2):
        damaged = bytearray(data)
        damaged[rng.integers(len(data))] ^= 1 << rng.integers(8)
        try:
            codec.verify(bytes(damaged))
        except CrayError:
            count += 1
print(count)
