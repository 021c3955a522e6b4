"""Results -> Markdown tables, in ``TABLES``, and plots. A table is one function of results."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from benchmarks.measuring.results import Results
from benchmarks.tables import color_bytes, decisions, one_grid, seconds, stored_samples, trained, whole_files


@dataclass(frozen=True)
class Table:
    """A table made of one suite."""

    suite: str
    title: str
    render: Callable[[Results], str]


TABLES: dict[str, Table] = {
    "beside": Table("files", "Whole files, some of them", whole_files.beside),
    "rates": Table("files", "Whole files: BD-rates", whole_files.rates),
    "files": Table("files", "Whole files, all of them", whole_files.files),
    "colors": Table("colors", "The colour alone: BD-rates of its bytes", color_bytes.colors),
    "nested": Table("colors", "Nested grids against each rival", color_bytes.nested),
    "equal": Table("equal", "Whole files of equal quality", whole_files.equal),
    "figure2": Table("grids", "The paper's Figure 2", one_grid.figure2),
    "grids": Table("grids", "One grid beside exact lightness", one_grid.grids),
    "pictures": Table("grids", "The compact network, picture by picture", one_grid.pictures),
    "samples": Table("samples", "Colour stored in other ways", stored_samples.rates),
    "worth": Table("samples", "What samples are worth", stored_samples.worth),
    "equation1": Table("samples", "Equation 1 in bytes", stored_samples.sizes),
    "stored": Table("samples", "All settings of these", stored_samples.settings),
    "choices": Table("choices", "What the defaults were chosen by", decisions.choices),
    "painting": Table("painting", "Where the network pays", decisions.painting),
    "times": Table("times", "Time and memory of every setting", seconds.times),
    "throughput": Table("speed", "Speed by size", seconds.throughput),
    "startup": Table("speed", "Start-up included", seconds.startup),
    "memory": Table("speed", "Memory by size", seconds.memory),
    "stages": Table("stages", "Where the seconds go", seconds.stages),
    "commands": Table("stages", "Whole commands from 1 to 100 megapixels", seconds.commands),
    "study": Table("study", "What helps", trained.study),
    "sizes": Table("sizes", "How large", trained.sizes),
    "nested-sizes": Table("nested-sizes", "How large behind nested grids", trained.nested_sizes),
    "training": Table("training", "What more training brought", trained.training),
}
