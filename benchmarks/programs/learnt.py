"""What training was worth: any weights of the networks of nested grids, with today's encoder and decoder.

Suite ``training``, measured as the suite ``colors`` is. Folders within the folder of pictures are sets of
their own.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any

from safetensors import SafetensorError

from benchmarks.codecs import CODECS
from benchmarks.codecs.adapter import label
from benchmarks.codecs.ours import AUTO, NESTED
from benchmarks.measuring import results
from benchmarks.measuring.dataset import Dataset, read
from benchmarks.measuring.results import Results, Row
from benchmarks.programs import Say, runner
from benchmarks.suites import curves
from benchmarks.tables.trained import ANCHOR, TRAINING
from crayoncodec import CheckpointError
from crayoncodec.color import layers, predictor, refiner
from crayoncodec.machine.process import models_folder

_CODEC = f"{NESTED} {AUTO}"


@dataclass(frozen=True)
class Weights:
    """Files of the kind that training.prediction writes."""

    predictor: Path
    refiner: Path

    @classmethod
    def of(cls, of_loop: Path | None, behind: Path | None) -> Weights:
        """Those given, and those that ship for the rest."""
        folder = models_folder()
        return cls(
            of_loop or folder / f"predictor-{predictor.VERSION}.safetensors",
            behind or folder / f"refiner-{refiner.VERSION}.safetensors",
        )

    def versions(self) -> dict[str, str]:
        """The SHA-256 of each. Raises OSError."""
        return {"predictor": _sha256(self.predictor), "refiner": _sha256(self.refiner)}


def measure(
    pictures: Dataset, weights: Weights, name: str, facts: dict[str, str], out: Path, jobs: int, say: Say
) -> Results:
    """Measure ``name``, and what it is compared with, where ``out`` does not have them yet.

    facts: what is to be known of the training. Raises CheckpointError, OSError, OtherResults.
    """
    found = results.begun(out, pictures)
    versions = {
        ANCHOR: CODECS[ANCHOR].versions(),
        name: facts | CODECS[_CODEC].versions() | weights.versions(),
    }
    for codec, its in versions.items():
        if codec in found.codecs(TRAINING) and found.versions[codec] == its:
            continue
        say(codec)
        with runner.workers(jobs) as pool:
            for rows in pool.map(partial(_measured, pictures, weights, codec), pictures.pictures):
                found.add(rows)
        found.versions[codec] = its
        results.save(found, out)
    return found


def _measured(pictures: Dataset, weights: Weights, codec: str, picture: str) -> list[Row]:
    """In a process that does nothing else."""
    _put_in_place(weights)
    adapter = CODECS[codec if codec == ANCHOR else _CODEC]
    rgb = read(pictures.folder, picture, pictures.crop)
    return [
        Row(TRAINING, codec, label(options), picture, curves.color_of(adapter, options, rgb))
        for options in adapter.colors
    ]


@cache
def _put_in_place(weights: Weights) -> None:
    """Have this process take them for those that ship."""
    for module, path in ((predictor, weights.predictor), (refiner, weights.refiner)):
        module.read = partial(_tensors, path)


def _tensors(path: Path, instead_of: Path, sha256: str) -> dict[str, Any]:
    """Those of a file, which has to have arrays like the one that ships. Raises CheckpointError."""
    expected = layers.read(instead_of, sha256)
    try:
        found = layers.read(path, _sha256(path))
    except SafetensorError as error:
        raise CheckpointError(f"{path} is no safetensors file ({error})") from error
    if {name: array.shape for name, array in found.items()} != {
        name: array.shape for name, array in expected.items()
    }:
        raise CheckpointError(f"{path} has other arrays than {instead_of.name}")
    return found


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
