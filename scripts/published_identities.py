"""Write the identities of what published tables and figures name: digests of recipes, versions of suites.

    python scripts/published_identities.py

Run it after a change of a recipe or a suite that is meant: models trained before then no longer fill its cells.
"""

from __future__ import annotations

import csv
import io
from pathlib import Path

from robench.files import atomic_write
from robench.suites import get
from robench.tables.figures import figures
from robench.tables.published import Meaning, PaperTable, addresses, load_table
from robench.training import recipes
from robench.training.recipes.digest import digest

PUBLISHED = Path(__file__).resolve().parents[1] / "leaderboards" / "published"
TRAINING_IMAGES = {"cifar10": 50_000, "cifar100": 50_000, "tiny-imagenet": 100_000, "imagenet": 1_281_167}


def texts() -> dict[str, str]:
    """Return the files' names and contents."""
    tables = [load_table(address) for address in addresses()]
    panels = [panel for figure in figures().values() for panel in figure.panels]
    names = sorted(
        {name for table in tables for name in _recipes(table)} | {name for one in panels for name in one.models}
    )
    suites = sorted({name for table in tables for name in _suites(table)} | {one.suite for one in panels if one.suite})
    return {
        "recipes.csv": _csv(["recipe", "digest", "dataset", "images"], [_recipe(name) for name in names]),
        "suites.csv": _csv(["suite", "version"], [[name, str(get(name).version)] for name in suites]),
    }


def main() -> None:
    """Write the files."""
    for name, text in texts().items():
        with atomic_write(PUBLISHED / name) as file:
            file.write(text.encode())


def _meanings(table: PaperTable) -> list[Meaning]:
    return [
        table.meaning(i, c) for i in range(len(table.rows)) for j, c in enumerate(table.columns) if table.cells[i][j]
    ]


def _recipes(table: PaperTable) -> set[str]:
    return {name for one in _meanings(table) for name in (one.recipe, one.minus) if name is not None}


def _suites(table: PaperTable) -> set[str]:
    return {one.suite for one in _meanings(table) if one.suite is not None}


def _recipe(name: str) -> list[str]:
    recipe = recipes.load(name)
    data = recipe.data
    images = 0 if data.extra else TRAINING_IMAGES.get(data.dataset, 0) - data.validation
    return [name, digest(recipe), data.dataset, str(images or "")]


def _csv(head: list[str], lines: list[list[str]]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(head)
    writer.writerows(lines)
    return text.getvalue()


if __name__ == "__main__":
    main()
