"""For every "must" of sections 11 to 13 a decoder that gets it wrong, and a golden file that notices.

A line of mutants.tsv has the golden file, what is wrong, what stands in independent_nested.py, and what is
put in its place. What no file can show has none: variances are not negative, and shifts of network 4 end
at 194.
"""

from __future__ import annotations

import json
import types
from pathlib import Path

import independent_decoder
import independent_nested
import numpy as np
import pytest

FOLDER = Path(__file__).parent
SOURCE = Path(independent_nested.__file__).read_text()
MUTANTS = [line.split("\t") for line in (FOLDER / "mutants.tsv").read_text().splitlines()]


def samples(file):
    """Of a golden file by the independent decoder."""
    return independent_decoder.decode((FOLDER / "golden" / f"{file}.cray").read_bytes()).samples


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize(("file", "what", "right", "wrong"), MUTANTS, ids=[mutant[1] for mutant in MUTANTS])
def test_a_golden_file_notices(file, what, right, wrong, monkeypatch):
    right, wrong = (text.replace("\\n", "\n") for text in (right, wrong))
    assert SOURCE.count(right) == 1
    mutant = types.ModuleType("mutant")
    mutant.__file__ = independent_nested.__file__
    exec(compile(SOURCE.replace(right, wrong), f"<{what}>", "exec"), mutant.__dict__)
    monkeypatch.setattr(independent_decoder, "independent_nested", mutant)
    expected = json.loads((FOLDER / "golden" / f"{file}.json").read_text())["grid"]["samples"]
    try:
        found = samples(file)
    except Exception:  # broken decoders fail in every way
        return
    assert not np.array_equal(found, expected)


@pytest.mark.parametrize("file", sorted({mutant[0] for mutant in MUTANTS}))
def test_without_a_mutation_it_is_decoded(file):
    expected = json.loads((FOLDER / "golden" / f"{file}.json").read_text())["grid"]["samples"]
    assert samples(file).tolist() == expected
