"""Who made the files of a published layout: their authors, or ``robench data generate``, which leaves a mark.

Files of robench's making have the published layout; results on them are still not comparable with those on published
files, so an open suite says that its images are generated.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from robench.data.trees import Tree, join
from robench.errors import RobenchError

MARK = "generated.json"
KIND = "robench-generated"


def mark_in(folder: Path, suite: str) -> dict[str, Any] | None:
    """Return the mark of this suite that lies with the files of a folder, or None."""
    try:
        return _parsed((folder / MARK).read_bytes(), suite)
    except OSError:
        return None


def mark_among(tree: Tree, places: Iterable[str], suite: str) -> dict[str, Any] | None:
    """Return the mark of this suite that lies beside a tree's conditions, or with its archives; None: there is none.

    Args:
        tree: folders, or archives.
        places: the conditions' folders in it.
        suite: the suite's name.
    """
    for above in dict.fromkeys(place.rpartition("/")[0] for place in places):
        try:
            if (mark := _parsed(tree.fetch(join(above, MARK)), suite)) is not None:
                return mark
        except (OSError, RobenchError):
            continue
    return next((mark for one in getattr(tree, "archives", ()) if (mark := mark_in(one.parent, suite))), None)


def _parsed(text: bytes, suite: str) -> dict[str, Any] | None:
    try:
        mark = json.loads(text)
    except ValueError:
        return None
    if isinstance(mark, dict) and mark.get("kind") == KIND and mark.get("suite") == suite:
        return mark
    return None
