"""What a notebook shows of results: one line, the terminal's table as HTML, data frames."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from html import escape
from typing import TYPE_CHECKING, Any, Literal

from robench.catalogue import headlines, row
from robench.errors import RobenchError
from robench.results.labels import amount_words, image_words, model_names, show

if TYPE_CHECKING:
    import pandas as pd

    from robench.results.schema import Result, Value

Shape = Literal["cells", "summary"]


def line(result: Result) -> str:
    """Return a result in one line: model, suite, source, cells, and its first two headline values."""
    suite = result.suite
    found = [f"{row(name).title} {show(result.summary[name], name)}" for name in headlines(result.summary)[:2]]
    extent = f", {amount}" if (amount := amount_words(result)) else ""
    about = f"{result.model.name!r} on {suite.name} ({image_words(result)}, {len(result.cells)} cells{extent})"
    return f"<Result {about}: {'; '.join(found)}>"


def table(results: Sequence[Result]) -> tuple[str, tuple[str, ...], list[tuple[str, ...]]]:
    """Return the headline values of results of one suite, as the terminal shows them.

    Returns:
        The title, the models' names, and one row per value: its name, then one text per model.
    """
    first = results[0]
    title = f"{first.suite.name} ({image_words(first)}), with 95 % confidence intervals"
    rows = [
        (row(name).head, *(show(result.summary.get(name), name, interval=True) for result in results))
        for name in headlines(name for result in results for name in result.summary)
    ]
    return title, tuple(model_names(results)), rows


def html(result: Result) -> str:
    """Return the terminal's table and notes of a result as HTML."""
    title, names, rows = table([result])
    return html_table(title, ("", *names), rows, result.notes)


def html_table(title: str, head: Sequence[str], rows: Sequence[Sequence[str]], notes: Sequence[str] = ()) -> str:
    """Return an HTML table without styles of its own, so that it follows the notebook's theme; all text is escaped."""
    heads = "".join(f"<th>{escape(text)}</th>" for text in head)
    body = "".join(
        "<tr><th style='text-align:left'>"
        + escape(first)
        + "</th>"
        + "".join(f"<td style='text-align:right'>{escape(text)}</td>" for text in rest)
        + "</tr>"
        for first, *rest in rows
    )
    below = "".join(f"<p><small>{escape(note)}</small></p>" for note in notes)
    return (
        f"<table><caption style='text-align:left'>{escape(title)}</caption>"
        f"<thead><tr>{heads}</tr></thead><tbody>{body}</tbody></table>{below}"
    )


def frame(result: Result, shape: Shape = "cells") -> pd.DataFrame:
    """Return a result's values as a data frame; see :meth:`robench.results.Result.to_frame`."""
    pandas = frames_library()
    if shape == "cells":
        return pandas.DataFrame(list(_long(result)))
    if shape != "summary":
        raise RobenchError(f"shape is {shape!r}.", hint='Give shape="cells" or shape="summary".')
    about: dict[str, Any] = {"model": result.model.name, "suite": result.suite.name, "source": result.suite.source}
    about |= {"dataset": result.suite.dataset, "complete": result.suite.complete}
    for name, value in result.summary.items():
        about |= {name: value.value, f"{name}_low": value.low, f"{name}_high": value.high}
    return pandas.DataFrame([about])


def frames_library() -> Any:
    """Return pandas.

    Raises:
        RobenchError: it is not installed.
    """
    try:
        import pandas
    except ImportError as error:
        raise RobenchError("Data frames need pandas, which is not installed.", hint="pip install pandas") from error
    return pandas


def _long(result: Result) -> Iterator[Mapping[str, Any]]:
    for cell in result.cells:
        about = {
            "model": result.model.name,
            "suite": result.suite.name,
            "cell": cell.name,
            "condition": cell.condition,
            "severity": cell.severity,
            "images": cell.images,
        }
        for name, value in cell.metrics.items():
            yield about | {"metric": name} | _columns(value)


def _columns(value: Value) -> dict[str, Any]:
    return {name: getattr(value, name) for name in ("value", "low", "high", "full_run_low", "full_run_high", "note")}
