"""One Parquet file of predictions per cell: written whole, read back checked, the same bytes for the same rows."""

from __future__ import annotations

import time
from collections.abc import Collection
from pathlib import Path
from typing import Any

import numpy as np

from robench.errors import RobenchError, first_line
from robench.files import atomic_write, sha256
from robench.predictions.notes import CellNotes
from robench.predictions.table import FORMAT_VERSION, Predictions
from robench.unchanged import State, settled, state_of

_DTYPES: dict[str, type[np.generic]] = {
    "index": np.int64,
    "target": np.int32,
    "predicted": np.int32,
    "confidence": np.float32,
    "target_probability": np.float32,
    "nll": np.float32,
    "brier": np.float32,
    "entropy": np.float32,
    "top5": np.int32,
    "log_complement": np.float32,
    "logsumexp": np.float32,
    "max_logit": np.float32,
    "second_logit": np.float32,
    "target_rank": np.int32,
    "target_tail": np.float32,
    "fingerprint": np.int64,
    "frame": np.int32,
    "logits": np.float32,
    "targets": np.uint8,
}
_WIDE = {"top5", "logits", "targets"}
_ALWAYS = tuple(_DTYPES)[:9]  # the columns of version 1
_WIDE_ROWS = 4096  # of logits that are encoded and decoded at a time: all at once take three times their size more
_NARROW = _ALWAYS[:8]  # without top5, a third of their bytes
_FORMAT, _NOTES = "robench_format", "robench_notes"
_PAUSES, _RECENT = (0.0, 0.02, 0.05, 0.1, 0.2), 5.0  # seconds
_AGAIN = "Evaluate again: only this cell is measured again."
_checksums: dict[Path, tuple[State, str]] = {}  # of files that were read whole


def write(path: Path, predictions: Predictions) -> str:
    """Write ``predictions`` to ``path`` atomically and return the file's SHA-256.

    Equal predictions give equal bytes (with one version of pyarrow), so runs can be compared byte for byte.
    The checksum goes into ``NAME.sha256``, which is written last: a cell is finished when both files exist.

    Raises:
        RobenchError: the folder cannot be written to, or the disk is full.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    arrays = {name: _to_arrow(name, value, pa) for name, value in predictions.stored().items()}
    metadata = {_FORMAT: str(FORMAT_VERSION), _NOTES: (predictions.notes or CellNotes()).text()}
    table = pa.table(arrays).replace_schema_metadata(metadata)
    with atomic_write(path, own=True, more=True) as file:
        # Floats of a softmax hardly compress; dictionary pages would only cost time.
        rows = _WIDE_ROWS if "logits" in arrays else None
        pq.write_table(table, file, rows, compression="zstd", use_dictionary=False, write_page_checksum=True)
    try:
        checksum = sha256(path)
    except OSError as error:
        raise RobenchError(
            f"{path} was removed while it was written.", hint="Run the same command again; other cells are kept."
        ) from error
    with atomic_write(_sidecar(path), own=True) as file:
        file.write(f"{checksum}  {path.name}\n".encode())
    return checksum


def stored_checksum(path: Path) -> str | None:
    """Return the checksum that was stored with ``path``, or None where there is none."""
    try:
        return _sidecar(path).read_bytes().decode(errors="replace").split()[0]
    except (OSError, IndexError):
        return None


def is_whole(path: Path) -> bool:
    """Return whether the file has exactly the bytes that were written.

    A file that another process has just replaced, and whose checksum it is about to write, is waited for.
    """
    for pause in _PAUSES:
        if pause:  # on a busy machine, even a sleep of no time waits for a turn
            time.sleep(pause)
        expected = stored_checksum(path)
        try:
            if expected is None or _checksum(path) == expected:
                return expected is not None
            if time.time() - path.stat().st_mtime > _RECENT:
                return False
        except OSError:  # not there, or removed just now by another process that joined it to its cell
            return False
    return False


def _checksum(path: Path) -> str:
    """Return a file's SHA-256; a file that is as it was when this process last read it all is not read again."""
    began, state = time.time(), state_of(path)
    known = _checksums.get(path)
    if known is not None and known[0] == state:
        return known[1]
    found = sha256(path)
    if settled(state, began) and state_of(path) == state:
        _checksums[path] = state, found
    return found


def read_notes(path: Path) -> CellNotes | None:
    """Return a cell's notes without reading its rows; None for a file of version 1.

    Raises:
        RobenchError: the file cannot be read.
    """
    import pyarrow.parquet as pq

    try:
        metadata = pq.read_schema(path).metadata or {}
    except Exception as error:  # as in :func:`read`
        raise RobenchError(f"{path} cannot be read as predictions: {first_line(error)}", hint=_AGAIN) from error
    if _version(metadata.get(_FORMAT.encode(), b"1"), path) < 2:
        return None
    return CellNotes.parse(metadata.get(_NOTES.encode(), b"{}"), str(path))


def remove(path: Path) -> None:
    """Remove a file and its checksum, if they exist."""
    _sidecar(path).unlink(missing_ok=True)
    path.unlink(missing_ok=True)


def read(path: Path, optional: Collection[str] | None = None) -> Predictions:
    """Read one cell's predictions, of this version of the table or an earlier one.

    Args:
        path: the file.
        optional: names of the columns to read besides those before ``top5``, where the file has them; None: all. What
            is not read, such as logits of many classes, takes no memory.

    Raises:
        RobenchError: the file is missing, damaged, of a newer version, or not a table of predictions.
    """
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path, page_checksum_verification=True) as file:
            there = file.schema_arrow.names
            wanted = None if optional is None else [name for name in there if name in {*_NARROW, *optional}]
            metadata = file.schema_arrow.metadata or {}
            columns: dict[str, Any] = dict(_columns(file, wanted, path))
    except RobenchError:
        raise
    except Exception as error:  # what damaged bytes make pyarrow raise is not limited to its own errors
        raise RobenchError(f"Could not read {path} as predictions: {first_line(error)}", hint=_AGAIN) from error
    version = _version(metadata.get(_FORMAT.encode(), b"1"), path)
    missing = [name for name in _ALWAYS if name not in there]
    if missing:
        raise RobenchError(
            f"{path} lacks the columns {', '.join(missing)}; found {', '.join(there)}.",
            hint="Give a file written by `robench evaluate`.",
        )
    notes = CellNotes.parse(metadata.get(_NOTES.encode(), b"{}"), str(path)) if version > 1 else None
    return Predictions(**columns, notes=notes)


def _columns(file: Any, wanted: list[str] | None, path: Path) -> dict[str, np.ndarray]:
    """Return columns in parts of the rows: decoding logits at once takes four times their size."""
    names = [name for name in (file.schema_arrow.names if wanted is None else wanted) if name in _DTYPES]
    rows, found = file.metadata.num_rows, dict[str, np.ndarray]()
    wide = rows > 0 and "logits" in names  # of narrow ones, batches would take half as much memory again
    start = 0
    for part in file.iter_batches(_WIDE_ROWS, columns=names) if wide else [file.read(columns=names)]:
        arrays = {name: _to_numpy(name, part[name], path) for name in names}
        if len(part) == rows:
            return arrays
        for name, array in arrays.items():
            if name not in found:
                found[name] = np.empty((rows, *array.shape[1:]), array.dtype)
            found[name][start : start + len(part)] = array
        start += len(part)
    return found


def column_names(path: Path) -> list[str]:
    """Return the names of a file's columns, of which nothing else is read.

    Raises:
        RobenchError: the file is missing or damaged.
    """
    import pyarrow.parquet as pq

    try:
        return list(pq.read_schema(path).names)
    except Exception as error:  # as in read
        raise RobenchError(f"Could not read {path} as predictions: {first_line(error)}", hint=_AGAIN) from error


def _version(text: bytes, path: Path) -> int:
    version = int(text) if text.isdigit() and len(text) < 9 else 0
    if version < 1:
        raise RobenchError(f"The metadata of {path} is damaged: its version is {text[:20]!r}.", hint=_AGAIN)
    if version > FORMAT_VERSION:
        raise RobenchError(
            f"{path} was written by a newer robench (table {version}; this one reads up to {FORMAT_VERSION}).",
            hint="Update with `pip install -U robench`.",
        )
    return version


def _sidecar(path: Path) -> Path:
    return path.with_name(path.name + ".sha256")


def _to_arrow(name: str, value: np.ndarray, pa: Any) -> Any:
    value = np.ascontiguousarray(value, dtype=_DTYPES[name])
    # From its memory: `pyarrow.array` imports pandas, which takes as long as measuring a small cell.
    flat = pa.Array.from_buffers(pa.from_numpy_dtype(value.dtype), value.size, [None, pa.py_buffer(value)])
    return flat if value.ndim == 1 else pa.FixedSizeListArray.from_arrays(flat, value.shape[1])


def _to_numpy(name: str, column: Any, path: Path) -> np.ndarray:
    import pyarrow as pa

    array = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    dtype = np.dtype(_DTYPES[name])
    wide = pa.types.is_fixed_size_list(array.type)
    values = array.flatten() if wide else array
    number = pa.types.is_integer(values.type) if dtype.kind in "iu" else pa.types.is_floating(values.type)
    if wide != (name in _WIDE) or not number or values.null_count:
        raise RobenchError(
            f"The column {name} of {path} is of type {array.type}; expected {dtype}"
            f"{' in lists of one length' if name in _WIDE else ''}, without nulls.",
            hint="Give a file written by `robench evaluate`.",
        )
    flat = _memory(values).astype(dtype, copy=False)
    return flat.reshape(-1, array.type.list_size) if wide else flat


def _memory(values: Any) -> np.ndarray:
    """Return the memory of an array of numbers without nulls; pyarrow's own ``to_numpy`` imports pandas."""
    kind = np.dtype(values.type.to_pandas_dtype())
    if not len(values):
        return np.empty(0, kind)
    return np.frombuffer(values.buffers()[1], kind, len(values), values.offset * kind.itemsize)
