"""The figures of the five papers: what each shows, what draws it, and from which results."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any, Generic, TypeVar

from robench.errors import RobenchError, did_you_mean
from robench.files import read_document
from robench.results.schema import Result
from robench.tables.claims import branch_of, claims, reasons_against
from robench.tables.identities import same_but_form
from robench.tables.locations import leaderboards
from robench.tables.published import Meaning

T = TypeVar("T")


@dataclass(frozen=True)
class Panel:
    """One plot of a figure.

    Args:
        plot: its name in ``robench plot``.
        options: of the plot.
        suite: whose results it reads.
        recipes, weights: the models, in the order of the plot; ``RECIPE?bn=mean`` is a branch.
        varied: the recipe of which one setting differs from run to run, :attr:`options` names it.
        varied_branch: the recipe whose branch differs from result to result.
        documents: the kind of document of ``robench fourier`` that it reads, of :attr:`recipes` and `varied_branch`.
        expects: fields of such a document as the figure has them: ``norm``, ``images``.
        runs: what the method of the training runs that it reads begins with.
        images: the recipes whose images it shows.
        settings: of these recipes, in place of their own.
    """

    plot: str
    options: Mapping[str, Any] = field(default_factory=dict)
    suite: str | None = None
    recipes: tuple[str, ...] = ()
    weights: tuple[str, ...] = ()
    varied: str | None = None
    varied_branch: str | None = None
    documents: str | None = None
    expects: Mapping[str, float] = field(default_factory=dict)
    runs: str | None = None
    images: tuple[str, ...] = ()
    settings: tuple[str, ...] = ()

    @property
    def models(self) -> tuple[str, ...]:
        """The recipes whose results it reads."""
        recipes = dict.fromkeys(name.partition("?")[0] for name in self.recipes)
        return (*recipes, *((self.varied_branch,) if self.varied_branch else ()))

    @property
    def needs_results(self) -> bool:
        """Whether it reads what was measured or trained."""
        return bool(self.suite or self.documents or self.runs)

    def command(self) -> str:
        """Return the command that draws it alone."""
        options = " ".join(f"--{name.removesuffix('s')} {one}" for name, value in self.options.items()
                           for one in ([value] if isinstance(value, str) else value))  # fmt: skip
        options = " ".join(part for part in (options, *(f"--set {one}" for one in self.settings)) if part)
        inputs = f"--recipe {','.join(self.images)}" if self.images else "FOLDER..." if self.runs else "RUN..."
        inputs = "FILE..." if self.documents else "" if self.plot in ("corruptions-gallery", "operations") else inputs
        return " ".join(part for part in ("robench plot", self.plot, inputs, options) if part)


@dataclass(frozen=True)
class PaperFigure:
    """A figure of a paper.

    Args:
        address: paper and number.
        title: what it shows.
        panels: what draws it; none where nothing does.
        why: what of it cannot be drawn, and why.
    """

    address: str
    title: str
    panels: tuple[Panel, ...] = ()
    why: str = ""


@cache
def figures() -> Mapping[str, PaperFigure]:
    """Return the figures of the five papers by address.

    >>> figures()["augmix/7"].panels[0].plot
    'trio'
    """
    document: dict[str, Any] = dict(read_document(leaderboards() / "published" / "figures.yaml", "list of figures"))
    return {
        address: PaperFigure(
            address, fields["title"], tuple(map(_panel, fields.get("panels", ()))), fields.get("why", "")
        )
        for address, fields in document.items()
    }


def load_figure(address: str) -> PaperFigure:
    """Return a figure.

    Raises:
        RobenchError: there is no such figure.
    """
    if address not in figures():
        raise RobenchError(f"Unknown figure '{address}'.", hint=did_you_mean(address, figures()))
    return figures()[address]


def _panel(fields: Mapping[str, Any]) -> Panel:
    given: dict[str, Any] = {name: tuple(one) if isinstance(one, list) else one for name, one in fields.items()}
    return Panel(**given)


def list_text() -> str:
    """Return a line for each figure: address, what draws it, what it shows."""
    lines = []
    for address, one in figures().items():
        plots = ", ".join(dict.fromkeys(panel.plot for panel in one.panels)) or "-"
        lines.append(f"{address:<14} {plots:<24} {one.title}" + ("" if one.panels else f" (not drawn: {one.why})"))
    return "\n".join(lines) + "\n"


@dataclass(frozen=True)
class Chosen(Generic[T]):
    """The results, or the documents, that a panel reads.

    Args:
        found: in the panel's order; of documents their paths.
        missing: models that nothing is of.
        dropped: what is nearly a model's -> why it does not count.
    """

    found: list[T]
    missing: list[str]
    dropped: dict[Path, str]


def choose(panel: Panel, results: Mapping[Path, Result], *, generated: bool = False) -> Chosen[Result]:
    """Return the results that a panel reads, found by content as for tables.

    Args:
        panel: of a figure; it has a suite.
        results: by path.
        generated: accept images that robench generated in place of published files.
    """
    if panel.varied is not None:
        return _varied(panel, results, generated)
    chosen: list[Result] = []
    missing: list[str] = []
    dropped: dict[Path, str] = {}
    for name, meaning in models_of(panel):
        found = False
        for path, result in results.items():
            if not claims(result, meaning, None):
                continue
            wanted = at_branch(meaning, result.model.card) if name == panel.varied_branch else meaning
            against = reasons_against(result, wanted, None, generated=generated)
            if against:
                dropped[path] = "; ".join(against)
            else:
                chosen.append(result)
                found = True
        if not found:
            missing.append(name)
    return Chosen(chosen, missing, dropped)


def models_of(panel: Panel) -> Iterator[tuple[str, Meaning]]:
    """Yield the models of a panel, by name, each as a cell's meaning."""
    for name in panel.weights:
        yield name, Meaning(panel.suite, "any", None, "none", weights=name)
    for name in (*panel.recipes, *((panel.varied_branch,) if panel.varied_branch else ())):
        recipe, _, branch = name.partition("?bn=")
        yield name, Meaning(panel.suite, "any", recipe, "none", branch=branch or "main")


def at_branch(meaning: Meaning, card: Mapping[str, Any]) -> Meaning:
    """Return what a model of any branch is asked to be: the one that its card names."""
    return replace(meaning, branch=branch_of(card))


def _varied(panel: Panel, results: Mapping[Path, Result], generated: bool) -> Chosen[Result]:
    """Return the runs of a recipe that differ in the panel's setting alone: the largest such group.

    A changed recipe has a digest of its own, so that here its name says which recipe it is a change of.
    """
    setting = str(panel.options["setting"])
    groups: dict[str, list[Result]] = {}
    levels: Counter[str] = Counter()
    dropped: dict[Path, str] = {}
    for path, result in results.items():
        card = result.model.card
        settings = card.get("settings")
        named = same_but_form(str(card.get("recipe") or "")) == same_but_form(str(panel.varied))
        if result.suite.name != panel.suite or not isinstance(settings, dict) or not named:
            continue
        if result.suite.source == "generated" and not generated:
            dropped[path] = "its images were generated"
            continue
        rest = {name: value for name, value in settings.items() if name != setting}
        key = repr(sorted((name, str(value)) for name, value in rest.items()))
        if settings.get(setting) not in [one.model.card["settings"].get(setting) for one in groups.get(key, [])]:
            levels[key] += 1
        groups.setdefault(key, []).append(result)
    if not levels or levels.most_common(1)[0][1] < 2:
        return Chosen([], [f"runs of {panel.varied} that differ in {setting} alone"], dropped)
    return Chosen(groups[levels.most_common(1)[0][0]], [], dropped)
