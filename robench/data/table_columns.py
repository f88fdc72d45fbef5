"""Which columns of an Arrow table hold its images and labels."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

from robench.errors import RobenchError
from robench.files import parse_document

IMAGE_COLUMNS = ("image", "img", "jpg", "jpeg", "png")


LABEL_COLUMNS = ("label", "fine_label", "labels", "cls")


class Columns(NamedTuple):
    """The columns of a table that are read, and the class names that the hub's metadata gives."""

    image: str
    label: str
    classes: tuple[str, ...] | None


def wanted_columns(file: Path) -> Columns:
    """Return which columns of a Parquet file are read.

    Raises:
        RobenchError: a damaged file, or see :func:`choose_columns`.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        schema = pq.read_schema(file)
    except (pa.ArrowException, OSError) as error:
        raise RobenchError(
            f"{file} cannot be read: {' '.join(str(error).split())}.", hint="The file is damaged; get it again."
        ) from error
    return choose_columns(schema, str(file))


def choose_columns(schema: Any, name: str) -> Columns:
    """Return which columns hold images and labels: those that the hub's metadata says, else those of a known name.

    Raises:
        RobenchError: none, or several.
    """
    features = _features(schema, name)
    typed = {kind: [c for c in schema.names if features.get(c, {}).get("_type") == kind] for kind in _KINDS}
    image = _one(typed["Image"] or [c for c in IMAGE_COLUMNS if c in schema.names], schema, name, "image")
    known = [c for c in LABEL_COLUMNS if c in schema.names]
    named = [c for c in typed["ClassLabel"] if c in LABEL_COLUMNS]
    label = _one(named if len(named) == 1 else known or typed["ClassLabel"], schema, name, "label")
    names = features.get(label, {}).get("names")
    classes = tuple(names) if isinstance(names, list) and all(isinstance(one, str) for one in names) else None
    return Columns(image, label, classes)


def has_labels(file: Path) -> bool:
    """Whether the first row of a Parquet file has a label, or nothing can be said of it here."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        label = wanted_columns(file).label
        with pq.ParquetFile(file) as opened:
            batch = next(opened.iter_batches(1, columns=[label]), None)
            value = batch.column(0)[0].as_py() if batch is not None and len(batch) else 0
    except (RobenchError, pa.ArrowException, OSError):  # told by the reading itself
        return True
    return value is not None and not (isinstance(value, int | float) and value < 0)


_KINDS = ("Image", "ClassLabel")


def _features(schema: Any, name: str) -> dict[str, dict[str, Any]]:
    """Return what the hub's metadata says of the columns."""
    raw = (schema.metadata or {}).get(b"huggingface")
    if raw is None:
        return {}
    document = parse_document(bytes(raw), name, "hub's metadata in", hint="Save the set again.")
    info = document.get("info")
    features = info.get("features") if isinstance(info, dict) else None
    return {k: v for k, v in features.items() if isinstance(v, dict)} if isinstance(features, dict) else {}


def _one(found: list[str], schema: Any, name: str, kind: str) -> str:
    if len(found) == 1:
        return found[0]
    if found:
        raise RobenchError(
            f"{name} has several {kind} columns: {', '.join(found)}.", hint="Keep the one that is meant in the file."
        )
    known = IMAGE_COLUMNS if kind == "image" else LABEL_COLUMNS
    raise RobenchError(
        f"{name} has no {kind} column; expected one of {', '.join(known)}, found {', '.join(schema.names) or 'none'}.",
        hint="Rename the column.",
    )
