"""Which predictions ``robench.ood`` compares: those of a run's own images, and of every set of foreign ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from robench.api.options import Place, Places
from robench.api.words import place
from robench.errors import RobenchError

if TYPE_CHECKING:
    from robench.predictions import Predictions, RunFolder


def clean_of(folder: RunFolder) -> str:
    from robench.results.protocols import clean_condition, protocol_of_run

    there, clean = folder.done(), clean_condition(protocol_of_run(folder.record.suite))
    return there[0] if len(there) == 1 and folder.record.suite.task != "ood" else clean


def own_predictions(folder: RunFolder, cell: str) -> Predictions:
    """Return the in-distribution predictions.

    Raises:
        RobenchError: no such cell, one of foreign images, or not one class per image.
    """
    if cell not in (there := folder.done()):
        raise RobenchError(
            f"{folder.path} has no finished cell '{cell}' of in-distribution images.",
            hint=f"It has: {', '.join(there) or 'none'}. Choose one with `cell`, or evaluate the model on its own"
            " images.",
        )
    rows = folder.read(cell)
    if rows.frame is not None or rows.targets is not None or bool((rows.target < 0).all()):
        raise RobenchError(
            f"Cell '{cell}' of {folder.path} has no labelled images of the model's classes.",
            hint="Give a run of a classification suite.",
        )
    return rows


def foreign_sets(folder: RunFolder, given: Mapping[str, Places | None]) -> dict[str, tuple[str, RunFolder, str]]:
    """Return name -> (group, run, cell) of every foreign set.

    Raises:
        RobenchError: none, a run of another model, or two sets of one name.
    """
    from robench.predictions import RunFolder

    found: dict[str, tuple[str, RunFolder, str]] = {}
    for group, places in given.items():
        for title, path in _named(group, places):
            other = RunFolder.open(path)
            _refuse_unlike(folder, other)
            cells = _foreign(other)
            for cell in cells:
                dataset = other.record.suite.dataset if cell == "ood" else cell
                name = title if title and len(cells) == 1 else f"{title}/{cell}" if title else dataset
                if name in found:
                    raise RobenchError(
                        f"Two sets are called '{name}': {found[name][1].path} and {other.path}.",
                        hint=f"Name them: `{group}={{'one': FOLDER, 'other': FOLDER}}`, or rename a folder of images.",
                    )
                found[name] = (group, other, cell)
    if not any(given.values()) and folder.record.suite.task == "ood":
        found = {cell: ("far", folder, cell) for cell in _foreign(folder)}
    if not found:
        raise RobenchError(
            "No out-of-distribution images: neither `near` nor `far` names a run.",
            hint="Evaluate the model on them first: `robench.evaluate(model, suite='ood:FOLDER')`.",
        )
    return found


def _named(group: str, places: Places | None) -> list[tuple[str, Path]]:
    if places is None:
        return []
    if isinstance(places, Mapping):
        return [(str(title), place(group, path)) for title, path in places.items()]
    listed: Sequence[Place] = [places] if isinstance(places, (str, Path)) else list(places)
    pairs = []
    for one in listed:
        title, equals, path = str(one).partition("=")
        named = bool(equals) and not Path(str(one)).exists()
        pairs.append((title, place(group, path)) if named else ("", place(group, one)))
    return pairs


def _refuse_unlike(folder: RunFolder, other: RunFolder) -> None:
    other.refuse_damaged()
    models = [run.record.model for run in (folder, other)]
    if models[0].hash != models[1].hash:
        raise RobenchError(
            f"{other.path} is a run of another model ({models[1].name}) than {folder.path} ({models[0].name}).",
            hint="Evaluate the same model on both.",
        )
    cut = [run.record.suite.subset for run in (folder, other)]
    if cut[0] != cut[1]:
        words = [f"cut to the classes of {one}" if one else "of all classes" for one in cut]
        raise RobenchError(
            f"The logits of {folder.path} are {words[0]}, those of {other.path} {words[1]}: their scores cannot be"
            " compared.",
            hint="ImageNet-O needs the validation images of its own 200 classes: evaluate it with `clean`.",
        )


def _foreign(folder: RunFolder) -> list[str]:
    """Return the cells of foreign images: all but the clean one of an ood suite, else every cell."""
    from robench.results.protocols import clean_condition, protocol_of_run

    there = folder.done()
    if folder.record.suite.task == "ood":
        clean = clean_condition(protocol_of_run(folder.record.suite))
        there = [cell for cell in there if cell != clean]
    if not there:
        raise RobenchError(f"{folder.path} has no finished cell of out-of-distribution images.", hint="Finish it.")
    return there
