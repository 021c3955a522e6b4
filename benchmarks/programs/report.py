"""Results -> a page of Markdown with plots, and the tables that stand in other documents.

A document has ``<!-- results: FILE TABLE -->`` before and ``<!-- end of results -->`` after a table; FILE is
one of ``benchmarks/results``, TABLE a name of ``tables.TABLES``, or ``archive``, or ``summary``, which is of
four files with commas between them.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from benchmarks.measuring import results
from benchmarks.measuring.results import Results
from benchmarks.programs import archive
from benchmarks.tables import TABLES, plots
from benchmarks.tables.cells import markdown
from benchmarks.tables.summary import summary

RESULTS = Path(__file__).parents[1] / "results"
_BLOCK = re.compile(r"(<!-- results: (\S+) (\S+) -->\n).*?(<!-- end of results -->)", re.DOTALL)


def write(found: Results, stem: Path) -> None:
    """The page as ``stem``.md and its plots beside it."""
    drawn = plots.plot(found, stem)
    stem.with_name(f"{stem.name}.md").write_text(page(found, stem.name, drawn), encoding="utf-8")


def page(found: Results, name: str, drawn: list[str]) -> str:
    """All that was measured, and what with; ``drawn`` are names of plots (``plots.FIGURES``) beside it."""
    return "\n\n".join(_parts(found, name, drawn)) + "\n"


def _parts(found: Results, name: str, drawn: list[str]) -> Iterator[str]:
    yield f"# {name}"
    dataset = found.dataset
    cut = f", {dataset['crop']} pixels cut from each side" if dataset["crop"] else ""
    yield f"{len(dataset['pictures'])} pictures of {dataset['folder']}{cut}, SHA-256 {dataset['sha256']}."
    if dataset["skipped"]:
        yield markdown(["left out", "reason"], map(list, dataset["skipped"].items()))
    yield markdown(["measured on", ""], [[name, str(value)] for name, value in found.environment.items()])
    for suite in dict.fromkeys(table.suite for table in TABLES.values()):
        if not found.codecs(suite):
            continue
        for figure in drawn:
            if plots.FIGURES[figure].suite == suite:
                yield f"![{plots.FIGURES[figure].title}]({name}-{figure}.svg)"
        for table in TABLES.values():
            if table.suite == suite:
                yield f"## {table.title}\n\n{table.render.__doc__}\n\n{table.render(found)}"
        holes = Counter((row.codec, row.reason) for row in found.holes(suite))
        if holes:
            rows = [[codec, str(count), reason] for (codec, reason), count in holes.items()]
            yield f"### Not measured in {suite}\n\n{markdown(['codec', 'times', 'reason'], rows)}"
    rows = [
        [codec, "; ".join(f"{library} {version}" for library, version in versions.items())]
        for codec, versions in found.versions.items()
    ]
    yield f"## Versions\n\n{markdown(['codec', 'libraries'], rows)}"


def filled(document: str, folder: Path = RESULTS) -> str:
    """A document with its tables made anew from the results in ``folder``."""
    load = cache(results.load)

    def fill(block: re.Match[str]) -> str:
        before, files, name, after = block.groups()
        paths = [folder / file for file in files.split(",")]
        if name == "archive":
            table = archive.table(json.loads(paths[0].read_text(encoding="utf-8")))
        else:
            render = summary if name == "summary" else TABLES[name].render
            table = render(*map(load, paths))
        return before + table + "\n" + after

    return _BLOCK.sub(fill, document)
