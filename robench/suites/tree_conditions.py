"""Where a set that is kept as image files has its conditions and severities: folders, or packed tars."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from robench.corruptions.severities_bar import IMAGENET as IMAGENET_BAR
from robench.data.folders import class_folders
from robench.data.trees import FolderTree, TarTree, Tree, child, join, open_tree
from robench.errors import RobenchError
from robench.suites.base import Cell


def open_conditions(
    data: Path, conditions: Sequence[str], *, classes_within: bool = False
) -> tuple[Tree, dict[str, str]]:
    """Open a set's folder or archives, and return them with condition -> its folder (none: they hold another set).

    Archives are looked into even where folders lie beside them, such as the clean ``val``: otherwise the published
    set would be ignored, and generated from those clean images.

    Args:
        data: the folder or archive.
        conditions: their names.
        classes_within: whether class folders lie directly in a condition's, as those of sequences do.

    Raises:
        RobenchError: as :func:`find_conditions`.
    """
    tree = open_tree(data)
    places = find_conditions(tree, conditions, classes_within)
    packed = sorted(data.glob("*.tar")) if isinstance(tree, FolderTree) and not places else []
    if packed:
        archives = TarTree(packed)
        if found := find_conditions(archives, conditions, classes_within):
            return archives, found
    return tree, places


def find_conditions(tree: Tree, conditions: Sequence[str], classes_within: bool = False) -> dict[str, str]:
    """Return condition -> its folder, searched in the root and two levels down (``noise/gaussian_noise``).

    Of several folders of a condition side by side, as in ImageNet-C and ImageNet-P, the one counts that has the right
    folders in it: severities, or classes (``classes_within``).

    Raises:
        RobenchError: several are left: there are two sets, of which one would be read, or some of each.
    """
    found: dict[str, str] = {}
    level = [""]
    wanted = {name.lower(): name for name in conditions}
    for _ in range(3):
        below: list[str] = []
        here: dict[str, list[str]] = {}
        for path in level:
            for folder in tree.folders(path):
                if name := wanted.get(folder.lower()):
                    here.setdefault(name, []).append(join(path, folder))
                elif not folder.isdigit():
                    below.append(join(path, folder))
        for name, places in here.items():
            if name not in found:
                found[name] = places[0] if len(places) == 1 else _the_one(tree, places, classes_within)
        level = below[:40]  # a set of class folders is not searched to its last class
    return found


def _the_one(tree: Tree, places: Sequence[str], classes_within: bool) -> str:
    fitting = [place for place in places if bool(class_folders(tree, place)) == classes_within]
    if len(fitting) != 1:
        raise RobenchError(
            f"{tree.root} holds several sets with this condition: {', '.join(fitting or places)}.",
            hint="Give the folder of one of them.",
        )
    return fitting[0]


def severity_folder(tree: Tree, place: str, cell: Cell) -> str | None:
    """Return the folder of a cell's severity within its condition's, or None.

    The generator of ImageNet-C-bar calls them after strengths: ``caustic_refraction/2.35`` is severity 1.
    """
    assert cell.severity is not None
    found = child(tree, place, str(cell.severity))
    if found is None and cell.condition in IMAGENET_BAR:
        found = child(tree, place, f"{IMAGENET_BAR[cell.condition][cell.severity - 1]:.2f}")
    return found
