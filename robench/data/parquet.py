"""Pictures in Parquet files in the layout of the Hugging Face hub: an image column and a label column."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from robench.data.base import Geometry
from robench.data.encoded import EncodedImages
from robench.errors import RobenchError

SPLIT_ALIASES = {
    "test": ("test", "validation", "valid", "val"),
    "validation": ("validation", "valid", "val"),
    "train": ("train",),
}
_IMAGE_COLUMNS = ("image", "img", "jpg", "jpeg", "png")
_LABEL_COLUMNS = ("label", "fine_label", "labels", "cls")


class TableSource:
    """Encoded pictures in an Arrow column of ``struct<bytes, path>`` (or plain binary).

    Args:
        column: the column, as one chunked array.
        name: what errors call the table.
    """

    def __init__(self, column: Any, name: str) -> None:
        import pyarrow as pa

        column = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
        if isinstance(column, pa.ChunkedArray):  # more than one chunk is left where 2 GiB are passed
            column = pa.concat_arrays([chunk.cast(_large(chunk.type)) for chunk in column.chunks])
        self._bytes = column.field("bytes") if pa.types.is_struct(column.type) else column
        self._name = name

    def __len__(self) -> int:
        return len(self._bytes)

    def name(self, position: int) -> str:
        """Return table and row."""
        return f"{self._name} row {position}"

    def fetch(self, position: int) -> bytes:
        """Return one row's bytes."""
        value = self._bytes[position].as_buffer()
        if value is None:
            raise OSError(f"row {position} has no bytes, only a path")
        return bytes(value)

    def identity(self) -> bytes:
        """Return the lengths of all pictures."""
        import pyarrow.compute as pc

        return np.asarray(pc.binary_length(self._bytes).to_numpy(zero_copy_only=False), np.int64).tobytes()


def _large(kind: Any) -> Any:
    import pyarrow as pa

    if pa.types.is_struct(kind):
        return pa.struct([pa.field("bytes", pa.large_binary()), pa.field("path", pa.string())])
    return pa.large_binary()


def find_parquet(folder: Path, split: str) -> list[Path]:
    """Return the Parquet files of a split under ``folder`` (``[CONFIG/]SPLIT-00000-of-00001.parquet``)."""
    if folder.is_file() and folder.suffix == ".parquet":
        return [folder]
    found = sorted(folder.glob("*.parquet")) or sorted(folder.glob("*/*.parquet"))
    for alias in SPLIT_ALIASES.get(split, (split,)):
        if chosen := [file for file in found if file.name.split("-")[0].split(".")[0] == alias]:
            return chosen
    return []


def load_parquet(
    folder: Path, split: str = "test", *, geometry: Geometry | None = None, workers: int | None = None
) -> EncodedImages:
    """Read one split of a hub data set kept as Parquet files.

    Raises:
        RobenchError: no file of that split, or no image or label column.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    files = find_parquet(folder, split)
    if not files:
        raise RobenchError(
            f"{folder} has no Parquet file of the split '{split}'.",
            hint="Files are named SPLIT-00000-of-00001.parquet in the hub's layout.",
        )
    if split == "test" and not _has_labels(files[0]):
        # The hub's ImageNet hides the labels of its test split (-1); the test set of every protocol is the validation.
        files = find_parquet(folder, "validation") or files
    try:
        table = pa.concat_tables([pq.read_table(file) for file in files])
    except (pa.ArrowException, OSError) as error:
        raise RobenchError(f"{files[0]} cannot be read: {error}.", hint="The file is damaged; get it again.") from error
    return images_of_table(table, str(files[0]), geometry=geometry, workers=workers)


def _has_labels(file: Path) -> bool:
    """Whether the first row has a label, or nothing can be said of it here."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(file) as opened:
            label = next((name for name in _LABEL_COLUMNS if name in opened.schema_arrow.names), None)
            batch = next(opened.iter_batches(1, columns=[label]), None) if label is not None else None
    except (pa.ArrowException, OSError):  # told by the reading itself
        return True
    return batch is None or len(batch) == 0 or bool((batch.column(0)[0].as_py() or 0) >= 0)


def images_of_table(table: Any, name: str, *, geometry: Geometry | None, workers: int | None) -> EncodedImages:
    """Return the pictures and labels of an Arrow table in the hub's layout."""
    image = _column(table, _IMAGE_COLUMNS, name, "image")
    label = _column(table, _LABEL_COLUMNS, name, "label")
    column = table.column(label)
    labels: npt.NDArray[np.int64] = column.fill_null(-1).to_numpy().astype(np.int64)
    if len(labels) and labels.min() < 0:
        raise RobenchError(
            f"{name}: {int((labels < 0).sum()):,} of {len(labels):,} rows have no label.",
            hint="Hidden test labels cannot be measured against: give the files of the validation split.",
        )
    source = TableSource(table.column(image), name)
    return EncodedImages(source, labels, label_names(table.schema, label), geometry=geometry, workers=workers)


def label_names(schema: Any, column: str) -> Sequence[str] | None:
    """Return the class names that the hub's metadata gives for a label column, or None."""
    raw = (schema.metadata or {}).get(b"huggingface")
    if raw is None:
        return None
    features = json.loads(raw).get("info", {}).get("features", {})
    return features.get(column, {}).get("names")


def _column(table: Any, known: tuple[str, ...], name: str, kind: str) -> str:
    for column in known:
        if column in table.column_names:
            return column
    raise RobenchError(
        f"{name} has no {kind} column; expected one of {', '.join(known)}, found {', '.join(table.column_names)}.",
        hint="Rename the column.",
    )
