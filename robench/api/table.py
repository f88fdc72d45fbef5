"""``robench.api.table(...)``: a paper's table with measured results beside it, or a table of the user's models."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from robench.api.options import Names, Place
from robench.api.own_table import own_table
from robench.api.words import both_given, one_of, place, spelled_out
from robench.errors import RobenchError, did_you_mean

if TYPE_CHECKING:
    from robench.results import Result
    from robench.tables.measured import Coverage
    from robench.tables.published import PaperTable


@spelled_out()
def table(
    address: str | None = None,
    *,
    results: Place | None = None,
    format: str = "terminal",
    recipe: Mapping[str, str] | Sequence[str] = (),
    why: bool = False,
    generated: bool = False,
    runs: Sequence[Place | Result] = (),
    figures: Names | None = None,
    by: str | None = None,
    with_published: bool = False,
    sources: Names | None = None,
    group_rows: str | None = None,
    seeds: bool = False,
) -> str:
    """Return a published table as text, with measured values beside the printed ones; or a table of the user's models.

    A result fills a cell by what it is, never by its name: its model has the digest of the cell's recipe (and the
    cell's data set and branch) or is the cell's public weights, and all of the cell's suite was measured on the
    published files. The runs of several seeds give a mean and a standard deviation. Below the table stands how many
    results were found, and why those that fill no cell do not count.

    Args:
        address: paper and number, ``augmix/2``; ``robench.tables.published.addresses()`` has them all. Or
            ``cifar10-reference``: the models of ``robench train --all cifar10`` beside printed rows.
        results: folder with results (or one result), and with documents of :func:`robench.affinity`.
        format: ``terminal``, ``markdown``, ``latex``, ``csv`` or ``html``.
        recipe: what models are whose card says nothing, by name: a recipe, public weights or a model spec of this
            table; a mapping, or ``MODEL=RECIPE`` entries.
        why: every near miss of every cell too, and the reasons why it does not count; with ``csv``, only these.
        generated: accept images that robench generated in place of the published files; their values are marked.
        runs: in place of ``address``: the models of the table's rows; see :func:`robench.api.own_table`.
        figures, by, with_published, sources, group_rows, seeds: of the table of ``runs``.

    Raises:
        RobenchError: no such table, format or recipe, no result, or an option that would have no effect.

    >>> import robench
    >>> robench.api.table("augmix/2", format="csv").splitlines()[0].split(",")[:2]
    ['row', 'clean']
    """
    from robench.tables import reference

    own = {"figures": figures is not None, "by": by is not None, "with_published": with_published}
    own |= {"sources": sources is not None, "group_rows": group_rows is not None, "seeds": seeds}
    if len(runs):
        excluded = {"address": address is not None, "results": results is not None, "recipe": bool(recipe)}
        excluded |= {"why": why, "generated": generated}
        both_given([("runs", runs, name, given) for name, given in excluded.items()])
        return own_table(
            runs, format=format, figures=figures, by=by, with_published=with_published, sources=sources,
            group_rows=group_rows, seeds=seeds,
        )  # fmt: skip
    for name in (name for name, is_given in own.items() if is_given):
        raise RobenchError(f"`{name}` has no effect without `runs`.", hint="Add `runs`.")
    if address is None:
        raise RobenchError("No table given.", hint="Name one, such as augmix/2, or give `runs` for one of your models.")
    folder = None if results is None else place("results", results)
    if address == reference.ADDRESS:
        excluded = {"recipe": bool(recipe), "why": why, "generated": generated}
        both_given([("address", address, name, given) for name, given in excluded.items()])
        return _of_set(folder, format)
    return _published(address, folder, _recipes(recipe), format, why=why, generated=generated)


def _of_set(folder: Path | None, form: str) -> str:
    """Return the table of the models of a training set."""
    from robench.tables.own_forms import FORMS, render
    from robench.tables.reference import reference_table

    one_of("format", form, tuple(FORMS))
    return render(reference_table(folder), form)


def _published(
    address: str, folder: Path | None, words: Mapping[str, str], form: str, *, why: bool, generated: bool
) -> str:
    """Return a published table, with what the results of a folder fill in."""
    from robench.tables import hypotheses
    from robench.tables.covering import cover
    from robench.tables.measured import find_results
    from robench.tables.paper_tables import FORMS, render
    from robench.tables.published import load_table
    from robench.tables.why import as_csv

    loaded = load_table(address)
    one_of("format", form, tuple(FORMS))
    if folder is None:
        given = {"recipe": bool(words), "why": why, "generated": generated}
        for name in (name for name, is_given in given.items() if is_given):
            raise RobenchError(f"`{name}` has no effect without `results`.", hint="Add `results`.")
        return render(loaded, None, form)
    found = find_results(folder, affinities=True)
    if address in hypotheses.ADDRESSES:
        if why:
            raise RobenchError(
                f"`why` has no effect: the signs of {address} follow from other tables.",
                hint="Look at these: " + ", ".join(sorted({of for of, _ in hypotheses.SETS.values()})) + ".",
            )
        number = hypotheses.MeasuredNumbers(found, words, generated=generated)
        return render(loaded, hypotheses.signs(loaded, number), form)
    _check_words(loaded, words)
    coverage = cover(loaded, found, words, generated=generated)
    if why and form == "csv":
        return as_csv(loaded, coverage)
    return render(loaded, coverage.filled, form) + _below(loaded, coverage, form, why)


def _check_words(loaded: PaperTable, words: Mapping[str, str]) -> None:
    """Refuse words that are of no cell.

    Raises:
        RobenchError: the table has no such recipe, weights or spec.
    """
    from robench.tables.claims import accepted_words

    meanings = [loaded.meaning(i, column) for i in range(len(loaded.rows)) for column in loaded.columns]
    known = sorted({word for meaning in meanings for word in accepted_words(meaning)})
    for word in words.values():
        if word not in known:
            raise RobenchError(
                f"{loaded.address} has no cell of '{word}'; expected a recipe, weights or a model spec of its cells.",
                hint=did_you_mean(word, known) if known else "No cell of this table can be filled.",
            )


def _below(loaded: PaperTable, coverage: Coverage, format: str, why: bool) -> str:
    """Return what stands below the table: nothing below a CSV, comments below LaTeX."""
    from html import escape

    from robench.tables.why import lines

    if format == "csv":
        return ""
    said = lines(loaded, coverage, every=why)
    if format == "latex":
        return "".join(f"% {line}\n" for line in said)
    if format == "html":
        return "".join(f"<p>{escape(line)}</p>\n" for line in said)
    return "\n" + "".join(f"{'- ' if i else ''}{line}\n{'' if i else chr(10)}" for i, line in enumerate(said))


def _recipes(given: Mapping[str, str] | Sequence[str]) -> dict[str, str]:
    if isinstance(given, Mapping):
        return dict(given)
    parts = {pair: pair.rpartition("=") for pair in ([given] if isinstance(given, str) else given)}
    wrong = [pair for pair, (model, _, recipe) in parts.items() if not model or not recipe]
    if wrong:
        raise RobenchError(
            f"`recipe` takes MODEL=RECIPE; found '{wrong[0]}'.",
            hint="For example `recipe='timm:resnet50=standard-imagenet-resnet50'`.",
        )
    return {model: recipe for model, _, recipe in parts.values()}
