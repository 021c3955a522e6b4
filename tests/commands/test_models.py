"""``cray models``: which networks there are."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from commandline import cray

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
