"""Two results side by side: what changed from one to the other, on the pictures that both have."""

from __future__ import annotations

from statistics import mean

from benchmarks.measuring.results import Results
from benchmarks.tables.cells import markdown, percentage

_LEAST_CHANGE = 1e-6


def compared(first: Results, second: Results) -> str:
    """Markdown: every measure whose mean differs, and how many rows only one of the two has."""
    common = [key for key, row in first.rows.items() if row.values is not None and second.measured(key)]
    pairs: dict[tuple[str, ...], list[tuple[float, float]]] = {}
    for key in common:
        ours, theirs = first.rows[key].values or {}, second.rows[key].values or {}
        for name in ours.keys() & theirs.keys():
            pairs.setdefault((*key[:3], name), []).append((ours[name], theirs[name]))
    rows = []
    for what, values in pairs.items():
        before, after = (mean(column) for column in zip(*values, strict=True))
        if abs(after - before) > _LEAST_CHANGE * abs(before):
            change = percentage(after / before - 1 if before else None)
            rows.append([*what, f"{before:.5g}", f"{after:.5g}", change, str(len(values))])
    only = [
        sum(row.values is not None for row in found.rows.values()) - len(common) for found in (first, second)
    ]
    lines = [
        markdown(
            ["suite", "codec", "setting", "measure", "first", "second", "change", "pictures"], sorted(rows)
        ),
        "",
        f"{len(common)} rows in both, {only[0]} in the first alone, {only[1]} in the second alone; "
        f"{len(pairs) - len(rows)} of {len(pairs)} means are equal.",
    ]
    return "\n".join(lines)
