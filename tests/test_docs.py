"""What is written for readers: its links lead somewhere in a checkout, too, and its Python runs.

``make docs`` ends with an error where a link is dead, a file missing or a public name without documentation.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from pictures import photo
from PIL import Image

import crayoncodec
from crayoncodec.plugins import pillow as plugin

ROOT = Path(__file__).parent.parent
DOCUMENTS = sorted(
    path.relative_to(ROOT).as_posix()
    for pattern in ("*.md", "docs/*.md", "benchmarks/**/*.md", "models/*/*.md")
    for path in ROOT.glob(pattern)
)
LINK = re.compile(r"\]\((?!https?:|#)([^)#\s]+)")
EXAMPLE = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("document", DOCUMENTS)
def test_links_lead_to_files(document):
    path = ROOT / document
    text = re.sub(r"^    .*$|`[^`]*`", "", path.read_text(), flags=re.MULTILINE)
    dead = [link for link in LINK.findall(text) if not (path.parent / link).exists()]
    assert not dead


def test_links_are_found():
    """Or the test above would find none dead."""
    assert "docs/index.md" in DOCUMENTS
    assert LINK.findall("[a](b.md#c), ![d](e.svg), [f](https://g), [h](#i)") == ["b.md", "e.svg"]


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # webdataset's open files
@pytest.mark.parametrize("page", ["python", "pillow", "opens"])
def test_examples_run(page, tmp_path, monkeypatch):
    if page == "opens":
        pytest.importorskip("webdataset")
    monkeypatch.chdir(tmp_path)
    Image.fromarray(photo(60, 80)).save("photo.jpg")
    (tmp_path / "photos").mkdir()
    crayoncodec.write("photos/one.cray", photo(20, 30))
    examples = EXAMPLE.findall((ROOT / "docs" / f"{page}.md").read_text())
    assert examples
    names = {}
    try:
        for example in examples:
            exec(compile(example, f"docs/{page}.md", "exec"), names)
    finally:
        plugin.register()
