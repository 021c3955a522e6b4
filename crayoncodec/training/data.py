"""Pictures -> batches: a memory-mapped cache of LAB crops, random crops, colour grids, guided planes."""

from __future__ import annotations

import io
import queue
import tarfile
import threading
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError
from torch import Tensor
from tqdm import tqdm

from crayoncodec import color
from crayoncodec.codestreams import planes as plane_coders
from crayoncodec.container import Sampling
from crayoncodec.grid import sample_grid
from crayoncodec.guided import GuidedModel

UNIT: Final = 256
"""Cached planes are i16 in 1/256 of a CIELAB unit: L*, a*, b*, and L* after a lossy coder."""
_IMAGE_SUFFIXES: Final = (".jpg", ".jpeg", ".png", ".webp", ".avif", ".tif", ".tiff", ".bmp", ".ppm")
_LOSSY_QUALITIES: Final = (30, 95)

F32 = NDArray[np.float32]
Batch = tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]
"""lightness, cell_lightness, bicubic, base, spacing (the network's arguments), and the true AB."""


def pictures(sources: list[Path]) -> Iterator[tuple[str, bytes]]:
    """Names and file contents of all pictures in folders (any layout) and tar packs, in sorted order."""
    for source in sources:
        if source.is_dir():
            for path in sorted(source.rglob("*")):
                if path.suffix.lower() in _IMAGE_SUFFIXES:
                    yield str(path), path.read_bytes()
        else:
            with tarfile.open(source) as tar:
                for member in tar:
                    stream = tar.extractfile(member) if member.isfile() else None
                    if stream is not None and member.name.lower().endswith(_IMAGE_SUFFIXES):
                        yield f"{source}:{member.name}", stream.read()


def build_cache(sources: list[Path], path: Path, size: int, seed: int = 0) -> NDArray[np.int16]:
    """Decode every picture once into i16[N,4,size,size] at ``path`` (a .npy file) and map it.

    Pictures smaller than ``size``, unreadable ones and grey ones (mean |a*| and |b*| under 1) are
    skipped and counted. A cache that is there already is taken as it is.
    """
    if not path.exists():
        rng = np.random.default_rng(seed)
        skipped = {"unreadable": 0, "too small": 0, "grey": 0}
        planes = []
        for _, data in tqdm(pictures(sources), desc="decoding pictures", unit=" pictures"):
            try:
                image = Image.open(io.BytesIO(data)).convert("RGB")
            except (UnidentifiedImageError, OSError):
                skipped["unreadable"] += 1
                continue
            if min(image.size) < size:
                skipped["too small"] += 1
                continue
            left, top = (image.width - size) // 2, (image.height - size) // 2
            rgb = np.asarray(image.crop((left, top, left + size, top + size)))
            lightness, ab = color.rgb_to_lab(rgb)
            if np.abs(ab).mean(axis=(1, 2)).max() < 1:
                skipped["grey"] += 1
                continue
            plane = color.lightness_to_u8(lightness)
            coded = plane_coders.encode(plane, "avif", int(rng.integers(*_LOSSY_QUALITIES)))
            lossy = color.lightness_from_u8(plane_coders.decode(coded, "avif", plane.shape, "lightness"))
            exact = color.lightness_from_u8(plane)
            planes.append(np.rint(np.stack([exact, *ab, lossy]) * UNIT).astype(np.int16))
        if not planes:
            raise ValueError(f"no usable picture of at least {size} pixels in {[str(s) for s in sources]}")
        print(f"{len(planes)} pictures; skipped {skipped}")
        temporary = path.with_suffix(".tmp.npy")
        np.save(temporary, np.stack(planes))
        temporary.replace(path)
    cache: NDArray[np.int16] = np.load(path, mmap_mode="r")
    return cache


def make_batch(
    planes: list[NDArray[np.int16]],
    spacing: int,
    sampling: Sampling = "mean",
    step: float = 1.0,
    lossy: bool = False,
) -> Batch:
    """Crops i16[4,h,w] of one size -> a batch of guided planes and their true AB."""
    rendered, truth = [], []
    for crop in planes:
        values: F32 = crop.astype(np.float32) / np.float32(UNIT)
        lightness, ab = values[3 if lossy else 0], values[1:3]
        grid = sample_grid(ab, spacing, sampling, step)
        rendered.append(GuidedModel.fit(grid, lightness).planes(lightness))
        truth.append(ab)
    stacked = [torch.from_numpy(np.stack(arrays)) for arrays in zip(*rendered, strict=True)]
    lightness_t, cell_lightness, bicubic, base = stacked
    return (
        lightness_t[:, None],
        cell_lightness[:, None],
        bicubic,
        base,
        torch.full((len(planes),), float(spacing)),
        torch.from_numpy(np.stack(truth)),
    )


def draw_batch(cache: NDArray[np.int16], pixels: int, rng: np.random.Generator) -> Batch:
    """A random batch of about ``pixels`` pixels; all its crops share one spacing, 2 to 100.

    One batch in eight has point samples, one in three a lossy lightness plane; the step is 0.5 to 2.
    """
    spacing = round(2 ** rng.uniform(1, np.log2(100)))
    limit = cache.shape[-1]
    side = min(limit, 128 if spacing <= 16 else 192 if spacing <= 40 else 320)
    crops = []
    for index in rng.integers(0, len(cache), max(2, pixels // side**2)):
        top, left = rng.integers(0, limit - side + 1, 2)
        crop = cache[index, :, top : top + side, left : left + side]
        crop = crop[..., ::-1] if rng.random() < 0.5 else crop
        crops.append(crop.swapaxes(-1, -2) if rng.random() < 0.5 else crop)
    sampling: Sampling = "point" if rng.random() < 1 / 8 else "mean"
    return make_batch(crops, spacing, sampling, float(2 ** rng.uniform(-1, 1)), rng.random() < 1 / 3)


def prefetch(batches: Iterable[Batch], depth: int = 4) -> Iterator[Batch]:
    """The same batches, made ahead of time by one background thread; an error there is raised here."""
    ready: queue.Queue[Batch | BaseException | None] = queue.Queue(depth)

    def work() -> None:
        try:
            for batch in batches:
                ready.put(batch)
            ready.put(None)
        except BaseException as error:
            ready.put(error)

    threading.Thread(target=work, daemon=True).start()
    while (item := ready.get()) is not None:
        if isinstance(item, BaseException):
            raise item
        yield item
