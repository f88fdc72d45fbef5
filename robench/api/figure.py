"""``robench.api.figure(address)``: a figure of the five papers, drawn again from the user's results."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from robench.api.options import Place
from robench.api.words import place, spelled_out
from robench.errors import RobenchError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from robench.results.schema import Result
    from robench.tables.figures import Chosen, Panel

T = TypeVar("T")


@dataclass(frozen=True)
class DrawnFigure:
    """A paper's figure.

    Args:
        address: paper and number.
        title: what it shows.
        panels: the panels that could be drawn, matplotlib figures, by the number of the panel (from 1).
        notes: what is missing, and why.
    """

    address: str
    title: str
    panels: Mapping[int, Figure]
    notes: tuple[str, ...]


@spelled_out()
def figure(
    address: str,
    *,
    results: Place | None = None,
    image: Place | None = None,
    networks: Place | None = None,
    generated: bool = False,
) -> DrawnFigure:
    """Draw a figure of a paper again: each panel from the results of its models, found by content as for tables.

    Args:
        address: paper and number, ``augmix/7``; ``robench.tables.figures.figures()`` has them all.
        results: folder with results, documents of ``robench.fourier`` and training runs, as the panels need.
        image: of panels that show augmented images: an image file; None: a digit of the embedded test set.
        networks: of panels that show DeepAugment: the folder of its trained networks.
        generated: accept images that robench generated in place of the published files.

    Raises:
        RobenchError: no such figure, nothing draws it, or no panel could be drawn.

    >>> import robench
    >>> drawn = robench.api.figure("augmix/1")
    >>> drawn.title, list(drawn.panels)
    ('an image under CutOut, Mixup, CutMix and AugMix', [1])
    """
    from robench.tables.figures import load_figure

    asked = load_figure(address)
    if not asked.panels:
        raise RobenchError(f"Nothing draws {address} ({asked.title}): {asked.why}.", hint="See `robench figure list`.")
    folder = None if results is None else place("results", results)
    from_images = any(panel.images or panel.plot in ("corruptions-gallery", "operations") for panel in asked.panels)
    for name, value in (("image", image), ("networks", networks)):
        if value is not None and not from_images:
            raise RobenchError(f"`{name}` has no effect: {address} shows no images.", hint=f"Omit `{name}`.")
    if folder is not None and not any(panel.needs_results for panel in asked.panels):
        raise RobenchError(f"`results` has no effect: {address} shows images only.", hint="Omit `results`.")
    drawn: dict[int, Figure] = {}
    notes: list[str] = [f"not drawn: {asked.why}"] if asked.why else []
    for number, panel in enumerate(asked.panels, start=1):
        try:
            drawn[number] = _draw(panel, folder, image, networks, generated, notes, number)
        except RobenchError as problem:
            notes.append(f"panel {number} ({panel.plot}): {problem.message}")
    if not drawn:
        raise RobenchError(
            f"No panel of {address} could be drawn. " + " ".join(f"{note.rstrip('.')}." for note in notes),
            hint=f"Panel 1 alone: `{asked.panels[0].command()}`.",
        )
    return DrawnFigure(address, asked.title, drawn, tuple(notes))


def _draw(
    panel: Panel, folder: Path | None, image: Place | None, networks: Place | None, generated: bool,
    notes: list[str], number: int,
) -> Figure:  # fmt: skip
    """Draw one panel; what is missing is added to the notes.

    Raises:
        RobenchError: nothing to draw it from.
    """
    from robench.plots.registry import PLOTS

    if panel.plot == "corruptions-gallery":
        from robench.api.gallery import gallery

        return gallery(image)
    if panel.plot == "operations":
        from robench.api.operations import operations

        return operations(image)
    if panel.images:
        from robench.api.augmentations import augmentations

        return augmentations(",".join(panel.images), image=image, networks=networks, set=panel.settings)
    if folder is None:
        raise RobenchError("it needs results; give their folder in `results`", hint="Add `results`.")
    if panel.suite is None:
        paths = _training_runs(panel, folder) if panel.runs else _documents(panel, folder, notes, number)
        return PLOTS.get(panel.plot).figure(paths, **_options(panel))
    chosen = _results(panel, folder, generated, notes, number)
    return PLOTS.get(panel.plot).draw(chosen, **_options(panel))


def _options(panel: Panel) -> dict[str, Any]:
    return {name: tuple(value) if isinstance(value, list) else value for name, value in panel.options.items()}


def _results(panel: Panel, folder: Path, generated: bool, notes: list[str], number: int) -> list[Result]:
    from robench.tables.figures import choose
    from robench.tables.measured import find_results

    chosen = choose(panel, find_results(folder), generated=generated)
    return _found(chosen, f"no result below {folder} is on {panel.suite}", "Evaluate them.", notes, number)


def _documents(panel: Panel, folder: Path, notes: list[str], number: int) -> list[Path]:
    """Return the documents of ``robench fourier`` that a panel reads.

    Raises:
        RobenchError: there is none.
    """
    from robench.tables.documents import choose_documents

    chosen, none = choose_documents(panel, folder), f"no {panel.documents} document below {folder} is"
    return _found(chosen, none, "Write them with `robench fourier`.", notes, number)


def _found(chosen: Chosen[T], none: str, hint: str, notes: list[str], number: int) -> list[T]:
    """Return what was chosen, and note what does not count or is missing.

    Raises:
        RobenchError: there is none.
    """
    notes += [f"panel {number}: {path} does not count: {why}" for path, why in chosen.dropped.items()]
    if not chosen.found:
        raise RobenchError(f"{none} of {', '.join(chosen.missing)}", hint=hint)
    if chosen.missing:
        notes.append(f"panel {number} lacks {', '.join(chosen.missing)}")
    return chosen.found


def _training_runs(panel: Panel, folder: Path) -> list[Path]:
    """Return the training runs below a folder whose method begins as the panel says.

    Raises:
        RobenchError: there is none.
    """
    from robench.files import read_document

    found = [
        file.parent
        for file in sorted(folder.rglob("recipe.yaml"))
        if str(read_document(file, "recipe").get("method", "")).startswith(str(panel.runs))
        and (file.parent / "log.csv").is_file()
    ]
    if not found:
        raise RobenchError(
            f"there is no training run of {panel.runs} below {folder}", hint="Give another folder in `results`."
        )
    return found
