"""One Parquet file of predictions a cell: written whole, read back checked, the same bytes for the same rows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from robench.errors import RobenchError
from robench.files import atomic_write, sha256
from robench.predictions.table import FORMAT_VERSION, Predictions

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
    "frame": np.int32,
    "logits": np.float32,
    "targets": np.uint8,
}
_OPTIONAL = {"frame", "logits", "targets"}


def write(path: Path, predictions: Predictions) -> str:
    """Write ``predictions`` to ``path`` atomically and return the file's SHA-256.

    Equal predictions give equal bytes (with one version of pyarrow), so runs can be compared byte for byte.
    The checksum goes into a file beside it, which is written last: a cell is finished when both are there.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    arrays = {name: _to_arrow(name, value, pa) for name, value in predictions.columns().items()}
    table = pa.table(arrays).replace_schema_metadata({"robench_format": str(FORMAT_VERSION)})
    with atomic_write(path) as file:
        # Floats of a softmax hardly compress; dictionary pages would only cost time.
        pq.write_table(table, file, compression="zstd", use_dictionary=False, write_page_checksum=True)
    checksum = sha256(path)
    with atomic_write(_sidecar(path)) as file:
        file.write(f"{checksum}  {path.name}\n".encode())
    return checksum


def stored_checksum(path: Path) -> str | None:
    """Return the checksum that was written beside ``path``, or None where there is none."""
    try:
        return _sidecar(path).read_text().split()[0]
    except (OSError, IndexError):
        return None


def is_whole(path: Path) -> bool:
    """Return whether the file is there with exactly the bytes that were written."""
    expected = stored_checksum(path)
    try:
        return expected is not None and sha256(path) == expected
    except OSError:  # not there, or removed just now by another process that joined it to its cell
        return False


def remove(path: Path) -> None:
    """Remove a file and its checksum, if they are there."""
    _sidecar(path).unlink(missing_ok=True)
    path.unlink(missing_ok=True)


def read(path: Path) -> Predictions:
    """Read one cell's predictions.

    Raises:
        RobenchError: the file is missing, damaged, or not a table of predictions.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pq.read_table(path, page_checksum_verification=True, partitioning=None)
    except (OSError, pa.ArrowInvalid) as error:
        raise RobenchError(
            f"{path} cannot be read as predictions: {error}", hint="Evaluate again: only this cell is redone."
        ) from error
    missing = [name for name in _DTYPES if name not in _OPTIONAL and name not in table.column_names]
    if missing:
        raise RobenchError(
            f"{path} lacks the columns {', '.join(missing)}; found {', '.join(table.column_names)}.",
            hint="Is it a file that `robench evaluate` wrote?",
        )
    return Predictions(**{name: _to_numpy(name, table[name]) for name in table.column_names if name in _DTYPES})


def _sidecar(path: Path) -> Path:
    return path.with_name(path.name + ".sha256")


def _to_arrow(name: str, value: np.ndarray, pa: Any) -> Any:
    value = np.ascontiguousarray(value, dtype=_DTYPES[name])
    if value.ndim == 1:
        return pa.array(value)
    return pa.FixedSizeListArray.from_arrays(pa.array(value.reshape(-1)), value.shape[1])


def _to_numpy(name: str, column: Any) -> np.ndarray:
    import pyarrow as pa

    array = column.combine_chunks()
    if pa.types.is_fixed_size_list(array.type):
        width = array.type.list_size
        return array.flatten().to_numpy(zero_copy_only=False).astype(_DTYPES[name], copy=False).reshape(-1, width)
    return array.to_numpy(zero_copy_only=False).astype(_DTYPES[name], copy=False)
