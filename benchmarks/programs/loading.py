"""Pictures a second in the loop of a training: the same ones of several codecs through a torch DataLoader."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean

import numpy as np
from torch.utils.data import DataLoader, Dataset

from benchmarks.codecs import CODECS
from benchmarks.codecs.adapter import Codec, label
from benchmarks.measuring import dataset, results
from benchmarks.programs import Say
from benchmarks.tables.cells import markdown

LOADED = ("JPEG 4:2:0", "AVIF 4:2:0", "cray without a network", "cray")


@dataclass(frozen=True, eq=False)
class Files(Dataset[np.ndarray]):
    """Files in memory, decoded where they are asked for: u8[H,W,3]."""

    codec: Codec
    data: Sequence[bytes]

    def __len__(self) -> int:
        return len(self.data)

    def __getitem__(self, index: int) -> np.ndarray:
        return self.codec.decode(self.data[index])


def measure(folder: Path, workers: int, rounds: int, say: Say) -> str:
    """A Markdown table: of each codec at its typical setting, the fastest of ``rounds`` passes.

    Codecs take turns, so that what else the machine does is the same for all; workers live from pass to pass.
    """
    names = dataset.Dataset.scan(folder).pictures
    loaders, sizes = {}, {}
    for name in LOADED:
        codec = CODECS[name]
        options = codec.typical
        assert options is not None
        say(f"{name}: {len(names)} files")
        files = [codec.encode(dataset.read(folder, picture, 0), options) for picture in names]
        sizes[name] = mean(map(len, files))
        loaders[name] = DataLoader(
            Files(codec, files), batch_size=None, shuffle=True, num_workers=workers,
            persistent_workers=workers > 0, collate_fn=_as_it_is,
        )  # fmt: skip
    seconds = {name: float("inf") for name in LOADED}
    for turn in range(rounds + 1):
        for name, loader in loaders.items():
            taken = _seconds(loader)
            if turn > 0:  # the first loads networks
                seconds[name] = min(seconds[name], taken)
    rates = {name: len(names) / taken for name, taken in seconds.items()}
    rows = [
        [name, label(CODECS[name].typical or {}), f"{sizes[name] / 1000:.1f}", f"{rates[name]:.3g}",
         f"{rates[name] / rates[LOADED[0]]:.2f}", f"{rates[name] / rates['AVIF 4:2:0']:.2f}"]
        for name in LOADED
    ]  # fmt: skip
    head = ["codec", "setting", "kB a picture", "pictures a second", "of JPEG's", "of AVIF's"]
    machine = results.environment()
    about = f"{len(names)} pictures, {workers} workers; {machine['cores']} cores of {machine['cpu']}"
    return f"{markdown(head, rows)}\n\n{about}"


def _as_it_is(picture: np.ndarray) -> np.ndarray:
    """Not as a tensor, which no codec is measured by."""
    return picture


def _seconds(loader: DataLoader[np.ndarray]) -> float:
    start = time.perf_counter()
    for _ in loader:
        pass
    return time.perf_counter() - start
