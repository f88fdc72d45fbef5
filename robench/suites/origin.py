"""Who made the files of a published layout: their authors, or ``robench data generate``, which leaves a mark."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from robench.suites.opened import Opened

MARK = "generated.json"
KIND = "robench-generated"


def note_origin(opened: Opened, data: Path | None) -> None:
    """Make a suite say that its images are generated where the mark of ``robench data generate`` lies with its files.

    Such files have the published layout, and figures on them still do not belong beside figures on published ones.
    """
    mark = find_mark(data, opened.suite.name) if data is not None and opened.source == "published" else None
    if mark is None:
        return
    opened.source = "generated"
    opened.protocol |= {"source": "generated", "seed": mark["seed"], "frost": mark["frost"], "made_of": mark["clean"]}


def find_mark(data: Path, suite: str) -> dict[str, Any] | None:
    """Return the mark of this suite at ``data``, or else one level up or down: where a set is looked for."""
    if not data.is_dir():
        data = data.parent
    for folder in (data, data.parent, *sorted(path for path in data.iterdir() if path.is_dir())):
        try:
            mark = json.loads((folder / MARK).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            continue
        if isinstance(mark, dict) and mark.get("kind") == KIND and mark.get("suite") == suite:
            return mark
    return None
