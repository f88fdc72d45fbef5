"""Markdown of the generated pages: tables, lists of pages, docstrings."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable

Pages = dict[str, str | bytes]


def summary(folder: str, names: Iterable[str]) -> Pages:
    """Return the navigation of a folder of pages."""
    lines = ["* [Overview](index.md)", *(f"* [{name}]({name}.md)" for name in names)]
    return {f"{folder}/SUMMARY.md": "\n".join(lines) + "\n"}


def table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """Return a table, whose long names may break after an underscore or a dot."""

    def line(cells: Iterable[str]) -> str:
        texts = (cell.replace("|", "\\|").replace("\n", " ") for cell in cells)
        return "| " + " | ".join(_LONG.sub(_breaking, text) for text in texts) + " |"

    head = tuple(head)
    return "\n".join([line(head), "|" + " --- |" * len(head), *map(line, rows)])


_LONG = re.compile(r"`([A-Za-z0-9.]*[_.][A-Za-z0-9_.]+)`")


def _breaking(name: re.Match[str]) -> str:
    parts = re.sub(r"([_.])(?=[A-Za-z])", r"\1<wbr>", name[1])
    return f"<code>{parts}</code>"


def clean(doc: str | None) -> str:
    """Return a docstring as Markdown."""
    return markdown(inspect.cleandoc(doc or ""))


def first_paragraph(doc: str | None) -> str:
    """Return the first paragraph of a docstring, in one line."""
    return " ".join(clean(doc).partition("\n\n")[0].split())


def markdown(text: str) -> str:
    """Turn docstring markup into Markdown: ``code`` and references."""
    return re.sub(r":[a-z]+:`~?([^`]+)`", r"`\1`", text.replace("``", "`"))
