"""The site: the Markdown files of this folder, and those elsewhere in the repository that they link to.

Sources are read from the repository's root (``make docs``), so a page lies on the site where its file lies in
the tree, and a relative link that works in one works in the other. What is dead or undocumented is a warning,
and warnings end the build.
"""

from __future__ import annotations

import dataclasses
import inspect
import re
from typing import Any, Final

import click
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.util import logging

import crayoncodec

project = "crayoncodec"
author = "The crayoncodec authors"
version = release = crayoncodec.__version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx_click"]
root_doc = "docs/index"
include_patterns = ["*.md", "benchmarks/**.md", "docs/**.md"]
exclude_patterns = [".*", "README.md", "data", "demo", "docs/_build", "runs"]
nitpicky = True
# Of other projects, or of no use to those who call the functions.
nitpick_ignore_regex = [
    ("py:class", r"numpy\..*|PIL\..*|.*PathLike|.*Collection|.*\.(En|De)codeOptions"),
    ("py:class", r"(.*\.)?(Backend|ChunkInfo|GridInfo|Network|Picture)"),
]
highlight_language = "none"
smartquotes = False
myst_heading_anchors = 3

autodoc_member_order = "bysource"
autodoc_type_aliases = {
    "Buffer": "bytes | bytearray | memoryview",
    "Image.Exif": "PIL.Image.Exif",
    "U8": "numpy.ndarray",
    "Backend": "Backend",
    "Network": "Network",
    "Picture": "Picture",
}
autoclass_content = "both"
python_display_short_literal_types = True
python_maximum_signature_line_length = 80

html_theme = "furo"
html_title = f"crayoncodec {version}"
html_copy_source = False
html_show_copyright = False
html_show_sphinx = False
html_static_path = ["_static"]
html_css_files = ["site.css"]
templates_path = ["_templates"]
html_additional_pages = {"index": "front.html"}

_log = logging.getLogger(__name__)
_EXAMPLE: Final = "Example: "


def setup(app: Sphinx) -> None:
    """Docstrings and help texts are prose; here they become what Sphinx reads."""
    app.connect("autodoc-process-signature", _signature)
    app.connect("autodoc-process-docstring", _docstring)
    app.connect("sphinx-click-process-description", _description)
    app.connect("sphinx-click-process-options", _options)
    app.connect("sphinx-click-process-epilog", _epilog)
    app.connect("env-check-consistency", _public_names)


def _signature(
    app: Sphinx, what: str, name: str, obj: Any, options: Any, signature: str | None, returns: str | None
) -> tuple[str | None, str | None]:
    """Without what only the package makes, with the default limits in a word, and aliases by their name."""
    if dataclasses.is_dataclass(obj) and all(
        field.default is dataclasses.MISSING for field in dataclasses.fields(obj)
    ):
        return "", ""
    if signature is not None:
        signature = re.sub(r"\bLimits\([^)]*\)", "Limits()", signature)
        signature = re.sub(r"TypeAliasForwardRef\('(.*?)'\)", r"\1", signature)
    return signature, returns


def _docstring(app: Sphinx, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    """Lines that begin with ``parameter:`` become a list, and names of errors links."""
    try:
        parameters = {*inspect.signature(obj).parameters} if callable(obj) else set()
    except ValueError:
        parameters = set()
    text, inside = [], False
    for line in lines:
        terms, colon, rest = line.partition(": ")
        if colon and {*terms.split(", ")} <= parameters:
            text += ["", ", ".join(f"**{term}**" for term in terms.split(", ")), f"   {rest}"]
            inside = True
        else:
            inside = inside and bool(line)
            text.append(f"   {line}" if inside else line)
    errors = "|".join(public for public in crayoncodec.__all__ if public.endswith(("Error", "Warning")))
    lines[:] = [re.sub(rf"\b({errors})\b", r":exc:`~crayoncodec.\1`", line) for line in text]


def _description(app: Sphinx, context: click.Context, lines: list[str]) -> None:
    if not any(lines):
        _log.warning("the command %s has no description", context.command_path)


def _options(app: Sphinx, context: click.Context, lines: list[str]) -> None:
    for option in context.command.params:
        if isinstance(option, click.Option) and not option.help:
            _log.warning("%s of %s has no help", option.opts[0], context.command_path)


def _epilog(app: Sphinx, context: click.Context, lines: list[str]) -> None:
    """An example is lines to be typed."""
    text = " ".join(lines).strip()
    if text.startswith(_EXAMPLE):
        typed = text.removeprefix(_EXAMPLE).split(", then ")
        lines[:] = ["Example::", "", *(f"    {line}" for line in typed), ""]


def _public_names(app: Sphinx, env: BuildEnvironment) -> None:
    """What the package exports is documented, and no other of its names."""
    documented = {
        name.removeprefix("crayoncodec.")
        for name, entry in env.domains.python_domain.objects.items()
        if name.count(".") == 1 and not entry.aliased
    }
    for name in sorted({*crayoncodec.__all__} - documented):
        _log.warning("crayoncodec.%s is public and not documented", name)
    for name in sorted(documented - {*crayoncodec.__all__}):
        _log.warning("crayoncodec.%s is documented and not public", name)
