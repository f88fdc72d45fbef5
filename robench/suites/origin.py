"""Who made the files of a published layout: their authors, or ``robench data generate``, which leaves a mark.

Files of robench's making have the published layout; results on them are still not comparable with those on published
files, so an open suite says that its images are generated.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

MARK = "generated.json"
KIND = "robench-generated"


def find_mark(data: Path | None, suite: str) -> dict[str, Any] | None:
    """Return the mark of this suite at ``data``, or else one level up or down: where a set is looked for."""
    if data is None:
        return None
    if not data.is_dir():
        data = data.parent
    below = sorted(path for path in data.iterdir() if path.is_dir()) if data.is_dir() else []
    for folder in (data, data.parent, *below):
        try:
            mark = json.loads((folder / MARK).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            continue
        if isinstance(mark, dict) and mark.get("kind") == KIND and mark.get("suite") == suite:
            return mark
    return None
