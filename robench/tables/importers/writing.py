"""Writing of imported values: plain CSV with Unix line ends, and YAML in the order given."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import yaml

from robench.files import atomic_write


def write_csv(path: Path, head: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Write a CSV whole or not at all."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(head)
    writer.writerows(rows)
    with atomic_write(path, own=True) as file:
        file.write(text.getvalue().encode())


def write_yaml(path: Path, document: Any) -> None:
    """Write a YAML document whole or not at all."""
    text = yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=116)
    with atomic_write(path, own=True) as file:
        file.write(text.encode())
