"""Manifests: tables (CSV or Parquet) of image files, labels and attributes."""

from __future__ import annotations

import csv
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from robench.data.tables import gather
from robench.errors import RobenchError

_WHOLE = re.compile(r"^(-?\d+)\.0+$")
NAMES = ("manifest.csv", "manifest.parquet")


def find_manifest(path: Path) -> Path:
    """Return the manifest at ``path``: the file itself, or ``manifest.csv`` / ``manifest.parquet`` in the folder.

    Raises:
        RobenchError: there is none.
    """
    if path.is_file():
        return path
    for name in NAMES:
        if (path / name).is_file():
            return path / name
    raise RobenchError(
        f"{path} has no {' or '.join(NAMES)}.",
        hint="Write one row per image (or garment): file, label, and a column for every attribute.",
    )


def read_manifest(path: Path, columns: Sequence[str]) -> dict[str, list[str]]:
    """Read some columns as text.

    Args:
        path: the manifest.
        columns: names that must be there.

    Returns:
        Column name -> a text for every row; numbers without ``.0``, surrounding spaces removed.

    Raises:
        RobenchError: a column is missing or there twice, a value is empty, or the file is damaged.
    """
    found = _parquet(path) if path.suffix == ".parquet" else _csv(path)
    rows = dict(found)
    heads = [name for name, _ in found]
    if twice := [name for name in columns if heads.count(name) > 1]:
        raise RobenchError(
            f"{path} has {heads.count(twice[0])} columns named '{twice[0]}'.", hint="Rename or drop all but one."
        )
    missing = [name for name in columns if name not in rows]
    if missing:
        raise RobenchError(
            f"{path} has no column {', '.join(missing)}; it has {', '.join(rows)}.",
            hint=f"Needed are {', '.join(columns)}.",
        )
    for name in columns:
        for number, value in enumerate(rows[name]):
            if value == "":
                raise RobenchError(f"{path}, row {number + 1}: '{name}' is empty.", hint="Fill it or drop the row.")
    return {name: rows[name] for name in columns}


def _csv(path: Path) -> list[tuple[str, list[str]]]:
    try:
        with open(path, newline="", encoding="utf-8-sig") as file:
            reader = csv.reader(file)
            header = [name.strip() for name in next(reader, [])]
            rows = [row for row in reader if row]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise RobenchError(f"{path} cannot be read: {error}.", hint="Expected CSV in UTF-8.") from error
    for number, row in enumerate(rows):
        if len(row) != len(header):
            raise RobenchError(
                f"{path}, row {number + 1}: expected {len(header)} values; found {len(row)}.",
                hint="Put values with commas in them into quotation marks.",
            )
    # Tables with gaps are often written with their whole numbers as 2019.0.
    return [(name, [_WHOLE.sub(r"\1", row[i].strip()) for row in rows]) for i, name in enumerate(header)]


def _parquet(path: Path) -> list[tuple[str, list[str]]]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path) as opened:
            empty = opened.schema_arrow.empty_table()
            table = gather(opened.iter_batches(), empty, path.stat().st_size, str(path))
    except (pa.ArrowException, OSError) as error:
        raise RobenchError(f"{path} cannot be read: {error}.", hint="The file is damaged; write it again.") from error
    columns = zip(table.column_names, table.columns, strict=True)
    return [(name, [_text(value) for value in column.to_pylist()]) for name, column in columns]


def _text(value: Any) -> str:
    if value is None:
        return ""
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value).strip()
