"""Carry over the living results that others publish, from copies of their files.

    python scripts/import_published.py robustbench FOLDER --commit 78fcc9e4 --date 2025-03-31
    python scripts/import_published.py timm FOLDER --date 2026-08

FOLDER is RobustBench's ``model_info`` with its ``*_unaggregated_results.csv`` beside the data sets' folders, or
timm's ``results``. The values go to ``leaderboards/published/``.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from robench.tables.importers.robustbench import import_robustbench
from robench.tables.importers.timm import import_timm

PUBLISHED = Path(__file__).resolve().parents[1] / "leaderboards" / "published"


def main() -> None:
    """Read the arguments and write the values."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", choices=("robustbench", "timm"))
    parser.add_argument("folder", type=Path)
    parser.add_argument("--commit", default="unknown", help="of their repository")
    parser.add_argument("--date", required=True, help="of that commit, or of the copy")
    given = parser.parse_args()
    out = PUBLISHED / given.source
    if given.source == "robustbench":
        print("suites:", ", ".join(import_robustbench(given.folder, out, commit=given.commit, date=given.date)))
    else:
        print("models:", import_timm(given.folder, out, commit=given.commit, date=given.date))


if __name__ == "__main__":
    main()
