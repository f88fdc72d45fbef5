"""Arrow tables of images and labels, as Parquet files and saved data sets hold them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from robench.data.base import Geometry
from robench.data.encoded import EncodedImages
from robench.data.formats import check_length
from robench.data.labels import read_labels
from robench.data.table_columns import Columns
from robench.errors import RobenchError
from robench.files import require_regular

MAX_RATIO = 100
"""How many times its own length a file may grow in memory; image files hardly shrink when they are compressed."""

_ALLOWED_ANYWAY = 64 << 20
_ROWS = 64  # read at a time, before the sum is compared with what is allowed


class TableSource:
    """Encoded images in an Arrow column: ``struct<bytes, path>``, binary, or text with paths.

    Args:
        column: the column, as one chunked array.
        name: what errors call the table.
        root: folder that paths in it start from, where a row has no bytes.
    """

    def __init__(self, column: Any, name: str, root: Path) -> None:
        import pyarrow as pa

        column = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
        if isinstance(column, pa.ChunkedArray):  # more than one chunk is left where 2 GiB are passed
            column = pa.concat_arrays([chunk.cast(_large(chunk.type)) for chunk in column.chunks])
        self._bytes, self._paths = _fields(column, name)
        self._name, self._root = name, root
        self._refuse_without_images()

    def __len__(self) -> int:
        return len(self._bytes if self._bytes is not None else self._paths)

    def name(self, position: int) -> str:
        """Return table and row."""
        return f"{self._name} row {position}"

    def fetch(self, position: int) -> bytes:
        """Return one row's bytes, its own or those of the file that it names.

        Raises:
            OSError: neither is there.
        """
        value = self._bytes[position].as_buffer() if self._bytes is not None else None
        if value is not None:
            return bytes(value)
        path = self._paths[position].as_py() if self._paths is not None else None
        if path is None:
            raise OSError("the row has neither bytes nor a path")
        try:
            check_length(require_regular(self._root / path).st_size)
            return (self._root / path).read_bytes()
        except (OSError, ValueError) as error:
            said = getattr(error, "strerror", None) or error
            raise OSError(f"the row has no bytes, only the path {path}: {said}") from error

    def identity(self) -> bytes:
        """Return the lengths of all images, and the paths of those without bytes."""
        import pyarrow.compute as pc

        if self._bytes is None:
            return repr(self._paths.to_pylist()).encode(errors="surrogateescape")
        lengths = pc.fill_null(pc.binary_length(self._bytes), -1)
        known = np.asarray(lengths.to_numpy(zero_copy_only=False), np.int64).tobytes()
        if self._bytes.null_count == 0 or self._paths is None:
            return known
        return known + repr(self._paths.to_pylist()).encode(errors="surrogateescape")

    def _refuse_without_images(self) -> None:
        """Tell at once where no row has bytes and the first path leads nowhere: that is one cause for all rows."""
        if len(self) == 0 or (self._bytes is not None and self._bytes.null_count < len(self)):
            return
        try:
            self.fetch(0)
        except OSError as error:
            raise RobenchError(
                f"{self._name}: the images are not in the file, which holds only paths; {error}.",
                hint="Put the image files there, or save the set with its bytes (datasets: embed the images).",
            ) from error


def read_bounded(files: Sequence[Path], columns: Columns) -> Any:
    """Read two columns of Parquet files into one table, as long as they do not grow beyond all measure.

    Raises:
        RobenchError: a damaged file, or one that grows to more than 100 times its length.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    tables = []
    for path in files:
        try:
            with pq.ParquetFile(path) as opened:
                kept = [columns.image, columns.label]
                batches, schema = opened.iter_batches(_ROWS, columns=kept), opened.schema_arrow
                empty = schema.empty_table().select(kept)
                tables.append(gather(batches, empty, path.stat().st_size, str(path)))
        except (pa.ArrowException, OSError, MemoryError) as error:
            raise RobenchError(
                f"{path} cannot be read: {' '.join(str(error).split())}.", hint="The file is damaged; get it again."
            ) from error
    try:
        return pa.concat_tables(tables)
    except pa.ArrowException as error:
        raise RobenchError(
            f"{files[0].parent}: files of one split have different columns: {error}.",
            hint="Keep the files of one set in the folder.",
        ) from error


def gather(batches: Iterable[Any], empty: Any, length: int, name: str) -> Any:
    """Return record batches as one table.

    Args:
        batches: the record batches.
        empty: the table that is returned where there are none.
        length: bytes of the file that they come from.
        name: what errors call the file.

    Raises:
        RobenchError: they grow to more than :data:`MAX_RATIO` times the file's length.
    """
    import pyarrow as pa

    limit = max(MAX_RATIO * length, _ALLOWED_ANYWAY)
    kept: list[Any] = []
    total = 0
    for batch in batches:
        total += batch.nbytes
        if total > limit:
            raise RobenchError(
                f"{name} would grow from {length:,} bytes to more than {limit:,}.",
                hint="It is not a set of images; get the set elsewhere.",
            )
        kept.append(batch)
    return pa.Table.from_batches(kept) if kept else empty


def images_of_table(
    table: Any, name: str, columns: Columns, *, root: Path, geometry: Geometry | None, workers: int | None
) -> EncodedImages:
    """Return the images and labels of an Arrow table.

    Raises:
        RobenchError: labels that are not one class for each image, hidden labels, or no images.
    """
    import pyarrow as pa

    if len(table) == 0:
        raise RobenchError(f"{name} has no rows.", hint="It is empty; get the set again.")
    column = table.column(columns.label)
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    found = read_labels(_values(column), f"{name}, column '{columns.label}'", columns.classes)
    if hidden := int((found.numbers < 0).sum()):
        raise RobenchError(
            f"{name}: {hidden:,} of {len(found.numbers):,} rows have no label.",
            hint="Hidden test labels cannot be measured against: give the files of the validation split.",
        )
    source = TableSource(table.column(columns.image), name, root)
    return EncodedImages(
        source, found.numbers, found.classes, geometry=geometry, workers=workers, remarks=found.remarks
    )


def _values(column: Any) -> Any:
    """Return a label column as an array; objects where there are gaps, lists or text."""
    import pyarrow as pa

    kind = column.type
    if pa.types.is_integer(kind) and column.null_count == 0:
        return column.to_numpy()
    values = np.empty(len(column), object)
    values[:] = column.to_pylist()
    return values


def _fields(column: Any, name: str) -> tuple[Any, Any]:
    """Return an image column's bytes and paths; one of them may be None."""
    import pyarrow as pa

    kind = column.type
    if pa.types.is_dictionary(kind):
        column = column.cast(kind.value_type)
        kind = column.type
    if pa.types.is_struct(kind):
        import pyarrow.compute as pc  # unlike the array's own fields, these are empty where the row is

        fields = {field.name: pc.struct_field(column, [i]) for i, field in enumerate(kind)}
        data, paths = fields.get("bytes"), fields.get("path")
    elif _is_binary(kind):
        data, paths = column, None
    else:
        data, paths = None, column
    if data is not None and not _is_binary(data.type):
        data = None
    if paths is not None and not (pa.types.is_string(paths.type) or pa.types.is_large_string(paths.type)):
        paths = None
    if data is None and paths is None:
        raise RobenchError(
            f"{name}: expected encoded images (bytes, or bytes and path); found {kind}.",
            hint="Store each image as the bytes of a PNG or JPEG file.",
        )
    return data, paths


def _is_binary(kind: Any) -> bool:
    import pyarrow as pa

    return bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or pa.types.is_fixed_size_binary(kind))


def _large(kind: Any) -> Any:
    import pyarrow as pa

    if pa.types.is_struct(kind):
        return pa.struct([pa.field(f.name, pa.large_binary() if f.name == "bytes" else f.type) for f in kind])
    return pa.large_binary() if _is_binary(kind) else kind
