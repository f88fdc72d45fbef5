"""Arrays in files that other frameworks write: NumPy, CSV and Parquet."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from robench.errors import RobenchError
from robench.metrics.arrays import as_array

if TYPE_CHECKING:
    import pyarrow as pa

    from robench.api.options import Place, SavedArray

LABELS = ("label", "labels", "target", "targets", "y", "y_true")
"""Columns (in lower case) that hold labels in a table that holds logits too."""

_ARRAYS = {"logits": ("logits", "logit", "probabilities", "probs", "outputs"), "labels": LABELS}
_NUMBERING = ("", "index", "id", "unnamed: 0")  # columns that number the rows
FORMS = ".npy, .npz, .csv, .tsv or .parquet"
Array = npt.NDArray[Any]


def rows_of(
    given: Place | SavedArray, word: str
) -> tuple[npt.NDArray[np.float64], tuple[str, ...] | None, str, tuple[str, ...]]:
    """Return logits as float64, the names of their columns where a table has names, what errors call them, and notes.

    Raises:
        RobenchError: not such a file, or values that are not numbers.
    """
    heads: tuple[str, ...] | None = None
    notes: tuple[str, ...] = ()
    if isinstance(given, str | Path):
        path = _file(given, word)
        if path.suffix.lower() in (".npy", ".npz"):
            values = _numpy(path, "logits")
        else:
            values, heads, notes = _table_rows(_table(path), path)
        where = str(given)
    else:
        values, where = as_array(given), word
    if values.dtype.kind not in "iuf":
        raise RobenchError(
            f"{where}: expected numbers, one per image and class; found {values.dtype}.", hint="Save them as float32."
        )
    return values.astype(np.float64), heads, where, notes


def labels_of(given: Place | SavedArray, word: str) -> tuple[Array, str, tuple[str, ...]]:
    """Return labels as they stand in a file or array, what errors call them, and notes.

    Raises:
        RobenchError: not such a file, or which column holds the labels is not known.
    """
    if not isinstance(given, str | Path):
        return as_array(given), word, ()
    path = _file(given, word)
    if path.suffix.lower() in (".npy", ".npz"):
        return _numpy(path, "labels"), str(given), ()
    table = _table(path, header=None)
    names = [str(name) for name in table.column_names]
    chosen = [name for name in names if name.lower() in LABELS]
    if len(names) > 1 and len(chosen) != 1:
        raise RobenchError(
            f"{path}: {len(names)} columns ({', '.join(names[:6])}...), and not just one of them is called label.",
            hint=f"Name the column of labels one of: {', '.join(LABELS)}.",
        )
    name = chosen[0] if chosen else names[0]
    note = (f"{path}: the labels are those of the column '{name}'.",) if len(names) > 1 else ()
    return _values(table.column(name), path), str(given), note


def _file(given: Any, word: str) -> Path:
    from robench.api.words import place

    path = place(word, given)
    suffix = path.suffix.lower()
    if not path.is_file():
        raise RobenchError(f"`{word}`: {path} is not a file.", hint=f"Give a file: {FORMS}.")
    if suffix not in (".npy", ".npz", ".csv", ".tsv", ".parquet"):
        torch = suffix in (".pt", ".pth", ".pkl", ".pickle")
        raise RobenchError(
            f"`{word}`: {path} is not in a form that is read here: {FORMS}.",
            hint="Save it with `numpy.save(FILE, tensor.cpu().numpy())`." if torch else "Save it in one of them.",
        )
    return path


def _numpy(path: Path, what: str) -> Array:
    """Read a .npy file, or the one array of an .npz file, or the one of the known names; nothing is unpickled."""
    try:
        found = np.load(path, allow_pickle=False)
        if not isinstance(found, np.lib.npyio.NpzFile):
            return np.asarray(found)
        with found:
            known = [name for name in found.files if name.lower() in _ARRAYS[what]]
            names = known if known else found.files
            if len(names) != 1:
                raise RobenchError(
                    f"{path} holds {len(found.files)} arrays ({', '.join(found.files[:6])}); which are the {what}?",
                    hint=f"Name it '{what}', or save it alone as .npy.",
                )
            return np.asarray(found[names[0]])
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, MemoryError) as error:
        objects = "Object arrays" in str(error) or "pickle" in str(error)
        raise RobenchError(
            f"Could not read {path}: " + ("it holds pickled objects." if objects else f"{error}."),
            hint="Save plain numbers or text with `numpy.save`; objects would need code to be run.",
        ) from error


def _table(path: Path, header: bool | None = None) -> pa.Table:
    """Read a CSV or Parquet file; whether a CSV file has a header is seen from its first line.

    A header is what is not all numbers, or several numbers 0, 1, 2, ..., as pandas names columns.
    """
    table = _read_table(path)
    heads = table.column_names
    if twice := [name for name in heads if heads.count(name) > 1]:
        raise RobenchError(
            f"{path} has {heads.count(twice[0])} columns named '{twice[0]}'.", hint="Rename or drop all but one."
        )
    return table


def _read_table(path: Path) -> pa.Table:
    import pyarrow as pa
    from pyarrow import csv, parquet

    try:
        if path.suffix.lower() == ".parquet":
            return parquet.read_table(path)
        delimiter = "\t" if path.suffix.lower() == ".tsv" else ","
        with path.open(encoding="utf-8") as file:
            first = file.readline().strip().split(delimiter)
        plain = all(_is_number(one) for one in first) or (len(first) == 1 and first[0].lower() not in LABELS)
        plain = plain and (len(first) == 1 or first != [str(i) for i in range(len(first))])
        return csv.read_csv(
            path,
            read_options=csv.ReadOptions(autogenerate_column_names=plain),
            parse_options=csv.ParseOptions(delimiter=delimiter),
        )
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise RobenchError(
            f"Could not read {path}: {str(error).splitlines()[0]}",
            hint="Write one row per image, one column per class.",
        ) from error


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _table_rows(table: pa.Table, path: Path) -> tuple[Array, tuple[str, ...] | None, tuple[str, ...]]:
    """Return the logits of a table: its one column of lists, or its columns of numbers but for that of labels."""
    names = [name for name in table.column_names if name.lower() not in (*LABELS, *_NUMBERING)]
    left = [name for name in table.column_names if name not in names]
    notes = (f"{path}: the columns {', '.join(map(repr, left))} were not taken for logits.",) if left else ()
    lists = [name for name in names if name.lower() in _ARRAYS["logits"]] or names
    if len(lists) == 1:
        rows = _values(table.column(lists[0]), path)
        if rows.ndim == 2:
            return rows, None, notes
    columns = [_values(table.column(name), path) for name in names]
    for name, column in zip(names, columns, strict=True):
        if column.ndim != 1 or column.dtype.kind not in "iuf":
            raise RobenchError(
                f"{path}: the column '{name}' does not hold numbers ({table.schema.field(name).type}).",
                hint="Write one column of numbers per class, or one column 'logits' of lists; and labels as 'label'.",
            )
    return np.stack(columns, axis=1) if columns else np.empty((0, 0)), tuple(names), notes


def _values(column: pa.ChunkedArray, path: Path) -> Array:
    """Return a column as an array: numbers (n,), lists of one length (n, K), or objects."""
    import pyarrow as pa

    kind = column.type
    if pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind):
        listed = column.to_pylist()
        lengths = {None if one is None else len(one) for one in listed}
        if len(lengths) > 1 or None in lengths:
            raise RobenchError(f"{path}: lists of different lengths.", hint="Give every image one value per class.")
        return np.array(listed)
    if pa.types.is_dictionary(kind) or pa.types.is_string(kind) or pa.types.is_large_string(kind):
        return np.array(column.to_pylist(), dtype=object)
    return np.asarray(column.to_numpy(zero_copy_only=False))
