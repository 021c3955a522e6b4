"""``cray models`` and ``bench``: which networks there are, and how fast they are here."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from commandline import cray

from crayoncodec.commands import timing
from crayoncodec.painting import checkpoints

pytestmark = pytest.mark.usefixtures("folder")


def test_models():
    listed = cray("models", "list").stdout
    assert listed.startswith("compact ")
    assert cray("models").stdout == listed
    card = json.loads(cray("models", "show", "compact").stdout)
    assert (card["name"], len(card["sha256"])) == ("compact", 64)
    assert cray("models", "verify").stdout == "".join(f"{name}: ok\n" for name in checkpoints.names())
    assert cray("models", "verify", "compact").stdout == "compact: ok\n"
    for command in ("show", "verify"):
        assert "no checkpoint 'nonesuch'" in cray("models", command, "nonesuch", code=4).stderr
    Path("bad.safetensors").write_bytes(b"")
    Path("bad.json").write_text("{}")
    assert "is not a model card" in cray("models", "show", "bad.safetensors", code=4).stderr
    mixed = cray("models", "verify", "bad.safetensors", "compact", code=4)
    assert mixed.stdout == "compact: ok\n"


class TestTiming:
    def test_every_backend_is_timed_and_one_is_named(self):
        done = cray("bench", "--size", "0.01", "--json")
        *rows, last = map(json.loads, done.stdout.splitlines())
        found = [(row["backend"], row["precision"]) for row in rows if row["device"] == "cpu"]
        assert found == [
            ("guided", None), ("openvino", "float32"), ("openvino", "bfloat16"), ("openvino", "int8"),
            ("onnx", "float32"), ("onnx", "int8"), ("opencv", "float32"), ("torch", "float32"),
        ]  # fmt: skip
        for row in rows[1:]:
            assert 0 < row["network_s_per_mp"] < 1000
            assert row["decode_s_per_mp"] > 0
        assert last["advice"].startswith("choose --backend ")

    def test_advice(self, installed):
        def row(backend, precision, seconds):
            return timing.Row(backend, "cpu", precision, 0.1, seconds, seconds)

        rows = [row("guided", None, 0.1), row("opencv", "float32", 0.5), row("torch", "float32", 0.4)]
        installed("cv2", "torch")
        assert timing.advice(rows) == (
            "choose --backend torch --device cpu: 0.40 s a megapixel; "
            "pip install crayoncodec[openvino] brings what is fastest on most processors"
        )
        installed("cv2", "torch", "openvino")
        rows += [row("openvino", "float32", 0.3), row("openvino", "int8", 0.2)]
        assert timing.advice(rows) == (
            "choose --backend openvino --device cpu: 0.30 s a megapixel; "
            "--backend openvino --precision int8 takes 0.20 s and moves colours a little"
        )

    def test_large_networks_get_small_pictures(self, monkeypatch):
        monkeypatch.setattr(timing, "_MOST_MACS", 1e9)
        monkeypatch.setattr(timing, "_REPEATS", 1)
        monkeypatch.setattr(timing, "_candidates", lambda card: [])
        said = []
        (row,) = timing.measure("crayon", 1.0, said.append)
        assert said[0] == "network crayon is large: a picture of 0.00074 megapixels"
        assert row.backend == "guided"

    def test_models_that_are_not_there(self):
        assert "no checkpoint 'nonesuch'" in cray("bench", "--model", "nonesuch", code=4).stderr
