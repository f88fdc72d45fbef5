"""The report of one or several runs: one HTML page that needs nothing else, and the same in Markdown.

Tables do not draw: plots are handed in, as SVG or PNG.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from robench.errors import RobenchError
from robench.results.comparing import Comparison
from robench.results.comparing_many import ManyComparison
from robench.results.labels import markdown, minus, protocol_words, unlike
from robench.results.schema import Result
from robench.tables.comparisons import pair_tables
from robench.tables.report_rows import conditions_table, facts_table, protocol_table, published_table, summary_table
from robench.tables.report_words import apart, headline, headline_names, next_commands

if TYPE_CHECKING:
    from jinja2 import Environment

Plot = tuple[str, str, bytes]
# The colours of ink, grid and paper in our SVGs follow the reader's light or dark screen; see the style sheet.
_SCREEN_COLOURS = {"#222222": "var(--ink)", "#6b6b6b": "var(--muted)", "#d6d6d6": "var(--grid)", "#ffffff": "none"}


def render_html(
    results: Sequence[Result],
    plots: Mapping[str, Plot],
    comparison: Comparison | None = None,
    many: ManyComparison | None = None,
) -> str:
    """Return the report as one HTML page: style and plots inside, no script and no request.

    Args:
        results: one or several results of one suite.
        plots: key -> (title, caption that says how to read it, SVG or PNG bytes), in the order of the page.
        comparison: of two runs on the same images, where there is one.
        many: of more than two.

    Raises:
        RobenchError: no result, or results of several protocols.
    """
    drawn = [
        {"key": key, "title": title, "caption": caption, "markup": _inline(key, title, content)}
        for key, (title, caption, content) in plots.items()
    ]
    return _environment().get_template("report.html.jinja").render(_document(results, comparison, many), plots=drawn)


def render_markdown(
    results: Sequence[Result],
    plots: Mapping[str, tuple[str, str, str]] | None = None,
    comparison: Comparison | None = None,
    many: ManyComparison | None = None,
) -> str:
    """Return the report as Markdown; ``plots`` hold the address of each plot in place of its bytes.

    Raises:
        RobenchError: as :func:`render_html`.
    """
    drawn = [
        {"title": title, "caption": caption, "address": address} for title, caption, address in (plots or {}).values()
    ]
    results = [_escaped(result) for result in results]
    if comparison is not None:
        comparison = comparison.model_copy(update={"a": markdown(comparison.a), "b": markdown(comparison.b)})
    document = _document(results, comparison, many)
    for pair in document["pairs"]:
        pair |= {"head": [*map(markdown, pair["head"])], "rows": [[*map(markdown, line)] for line in pair["rows"]]}
    if (found := document["published"]) is not None:
        near = tuple(
            (name if own else markdown(name), markdown(source), texts, own) for name, source, texts, own in found.near
        )
        document["published"] = replace(found, near=near, notes=tuple(map(markdown, found.notes)))
    document["said"] = [markdown(text) for text in document["said"]]
    text = _environment().get_template("report.md.jinja").render(document, plots=drawn)
    return re.sub(r"\n{3,}", "\n\n", text).strip() + "\n"


def _escaped(result: Result) -> Result:
    """Return a result whose texts stay as they are in Markdown; commands stand between backticks there."""
    document = _each_text(result.model_dump(), markdown)
    command = result.run.command
    document["run"]["command"] = command and " ".join(command.replace("`", "'").split())
    return Result.model_validate(document)


def _each_text(value: Any, change: Callable[[str], str]) -> Any:
    if isinstance(value, dict):
        return {change(str(key)): _each_text(one, change) for key, one in value.items()}
    if isinstance(value, list):
        return [_each_text(one, change) for one in value]
    return change(value) if isinstance(value, str) else value


def _document(
    results: Sequence[Result], comparison: Comparison | None, many: ManyComparison | None = None
) -> dict[str, Any]:
    """Return everything that both forms show."""
    if not results:
        raise RobenchError(
            "There is no result to report.", hint="Give one or several result.json files or run folders."
        )
    protocols = {protocol_words(result) for result in results}
    if len(protocols) > 1:
        raise RobenchError(
            f"A report holds runs of one protocol; these are of {len(protocols)}: {', '.join(sorted(protocols))}.",
            hint="Write one report for each.",
        )
    differing = unlike(results)
    comparison = None if differing else comparison  # of the cells that both have, which no mean below is over
    many = None if differing else many
    return {
        "suite": results[0].suite,
        "headline": [apart(differing)] if differing else headline(results, comparison),
        "summary": summary_table(results, comparison, marked=not differing),
        "pairs": pair_tables(many, headline_names(results)) if many is not None else [],
        "said": many.sentences if many is not None else [],
        "conditions": conditions_table(results, marked=not differing),
        "published": None if differing else published_table(results),
        "protocol": protocol_table(results),
        "facts": facts_table(results),
        "checksums": _checksums(results),
        "failures": [f"{r.model.name}: {text}" for r in results for text in (*r.failures, *r.notes)],
        "commands": next_commands(results, comparison),
        "version": results[0].run.robench,
    }


def _checksums(results: Sequence[Result]) -> list[tuple[str, list[tuple[str, str]]]]:
    return [
        (result.model.name, [(c.name, c.predictions_sha256) for c in result.cells if c.predictions_sha256])
        for result in results
    ]


def _environment() -> Environment:
    from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

    made = Environment(
        loader=PackageLoader("robench.tables", "templates"),
        autoescape=select_autoescape(["html.jinja"]),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters["minus"] = minus
    return made


def _inline(key: str, title: str, content: bytes) -> str:
    """Return a plot as markup that stands inside the page."""
    from markupsafe import Markup, escape

    if content.startswith(b"\x89PNG"):
        data = base64.b64encode(content).decode()
        return Markup('<img alt="{}" src="data:image/png;base64,{}">').format(title, data)
    return Markup(_scoped_svg(content.decode(), key, str(escape(title))))


def _scoped_svg(svg: str, key: str, title: str) -> str:
    """Return the ``<svg>`` element with unique ids, colours that follow the screen, and a name to be read out."""
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    prefix = re.sub(r"[^a-z0-9]+", "-", key.lower())
    svg = re.sub(r'\bid="([^"]+)"', rf'id="{prefix}-\1"', svg)
    svg = re.sub(r'href="#([^"]+)"', rf'href="#{prefix}-\1"', svg)
    svg = re.sub(r"url\(#([^)]+)\)", rf"url(#{prefix}-\1)", svg)
    for colour, replacement in _SCREEN_COLOURS.items():
        svg = svg.replace(f"fill: {colour}", f"fill: {replacement}").replace(
            f"stroke: {colour}", f"stroke: {replacement}"
        )
    return re.sub(r'<svg\b([^>]*?) width="[^"]+"', rf'<svg role="img" aria-label="{title}"\1', svg, count=1).replace(
        ' height="', ' data-height="', 1
    )
