"""Hugging Face ``datasets`` as a source: a saved folder, a data set of the hub, or its stream.

A saved folder (``save_to_disk``) is read through pyarrow alone; the hub needs the optional package ``datasets``.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from robench.data.base import Geometry
from robench.data.encoded import EncodedImages
from robench.data.formats import check_length
from robench.data.labels import read_labels
from robench.data.splits import INSTEAD, NAMES, choose_split, kind_of, read_instead
from robench.data.table_columns import LABEL_COLUMNS, choose_columns
from robench.data.tables import TableSource, gather, images_of_table
from robench.errors import RobenchError
from robench.files import read_document, require_regular

PREFIX = "hf:"
_IDENTITY_ROWS = 1000  # whose lengths are taken at a time


def is_saved(path: Path) -> bool:
    """Whether ``path`` is a folder written by ``save_to_disk`` (of one split or of several)."""
    return (path / "dataset_dict.json").is_file() or (path / "state.json").is_file()


def load_saved(
    path: Path, split: str = "test", *, geometry: Geometry | None = None, workers: int | None = None
) -> EncodedImages:
    """Read a folder written by ``datasets``' ``save_to_disk``.

    Raises:
        RobenchError: no such split, a file missing or damaged, or no image or label column.
    """
    import pyarrow as pa

    folder = _split_folder(path, split)
    state = read_document(folder / "state.json", "state of the saved data set", hint="Save it again.")
    files = _data_files(folder, state)
    if state.get("_indices_data_files"):
        raise RobenchError(f"{folder} was saved with an index over its rows.", hint="Call flatten_indices() first.")
    tables = []
    for file in files:
        try:
            with pa.memory_map(str(file)) as mapped:
                stream = pa.ipc.open_stream(mapped)
                tables.append(gather(stream, stream.schema.empty_table(), file.stat().st_size, str(file)))
        except (OSError, ValueError, pa.ArrowException) as error:
            raise RobenchError(f"{file} cannot be read: {error}.", hint="Save the data set again.") from error
    table = pa.concat_tables(tables)
    columns = choose_columns(table.schema, str(folder))
    found = images_of_table(table, str(folder), columns, root=folder, geometry=geometry, workers=workers)
    found.remarks = (*_of_split(path, split, folder, state), *found.remarks)
    return found


def _of_split(path: Path, split: str, folder: Path, state: dict[str, Any]) -> tuple[str, ...]:
    """Return a remark where another split was read than the one asked for."""
    if folder != path:
        return read_instead(str(path), split, folder.name)
    # Of a data set saved alone, which may be a part of what datasets loaded as this split.
    kept = str(state.get("_split") or "").partition("[")[0]
    if kind_of(kept) in ("", split):
        return ()
    return (f"{path} was saved of the split {kept}; it was read as the {split} images.",)


def _data_files(folder: Path, state: dict[str, Any]) -> list[Path]:
    """Return the files that the state names, which lie in the folder itself."""
    entries = state.get("_data_files")
    names = [entry.get("filename") if isinstance(entry, dict) else None for entry in entries or []]
    if not names or any(not isinstance(name, str) or Path(name).name != name for name in names):
        raise RobenchError(
            f"{folder / 'state.json'} does not name the files of a saved data set in '_data_files'.",
            hint="Save it again.",
        )
    return [folder / str(name) for name in names]


def _split_folder(path: Path, split: str) -> Path:
    if not (path / "dataset_dict.json").is_file():
        return path
    document = read_document(path / "dataset_dict.json", "list of splits", hint="Save the data set again.")
    splits = document.get("splits")
    if not isinstance(splits, list) or any(not isinstance(one, str) for one in splits):
        raise RobenchError(f"{path / 'dataset_dict.json'} does not list splits.", hint="Save the data set again.")
    if named := choose_split(splits, split, str(path)):
        return path / named
    raise RobenchError(f"{path} has no split '{split}'; it has {', '.join(splits)}.", hint="Choose one of these.")


class RowsSource:
    """Encoded images of a ``datasets`` data set, taken row by row."""

    def __init__(self, rows: Any, column: str, name: str) -> None:
        self._rows, self._column, self._name = rows, column, name

    def __len__(self) -> int:
        return len(self._rows)

    def name(self, position: int) -> str:
        """Return data set and row."""
        return f"{self._name} row {position}"

    def fetch(self, position: int) -> bytes:
        """Return one row's bytes, its own or those of the file that it names.

        Raises:
            OSError: neither is there.
        """
        value = self._rows[position][self._column] or {}
        if value.get("bytes") is not None:
            return bytes(value["bytes"])
        if value.get("path") is None:
            raise OSError("the row has neither bytes nor a path")
        try:
            check_length(require_regular(value["path"]).st_size)
        except ValueError as error:
            raise OSError(f"the row's file {value['path']}: {error}") from error
        return Path(value["path"]).read_bytes()

    def identity(self) -> bytes:
        """Return the lengths of all images."""
        if not hasattr(self._rows, "with_format"):  # rows of a stream
            return np.array([self._length(i) for i in range(len(self))], np.int64).tobytes()
        lengths = [
            TableSource(batch[self._column], self._name, Path()).identity()
            for batch in self._rows.with_format("arrow").iter(_IDENTITY_ROWS)
        ]
        return b"".join(lengths)

    def _length(self, position: int) -> int:
        try:
            return len(self.fetch(position))
        except OSError:  # reported when the image is read, which skip_corrupt may allow
            return -1


def load_hub(
    name: str,
    split: str = "test",
    *,
    config: str | None = None,
    streaming: bool = False,
    limit: int | None = None,
    geometry: Geometry | None = None,
    workers: int | None = None,
) -> EncodedImages:
    """Read a data set of the hub (or any folder that ``datasets.load_dataset`` takes).

    Args:
        name: ``OWNER/NAME``, with or without ``hf:`` in front.
        split: as the data set calls it; ``test`` also finds ``validation``.
        config: the data set's configuration.
        streaming: take rows as they come instead of storing the whole set first; they are kept in memory.
        limit: how many rows of a stream.
        geometry: resize and crop.
        workers: decoding threads.

    Raises:
        RobenchError: ``datasets`` is not installed, the data set could not be loaded, or it has no image or label
            column.
    """
    try:
        import datasets
    except ImportError as error:
        raise RobenchError(
            f"Reading {name} from the hub needs the package 'datasets'.",
            hint="pip install 'robench[hub]', or give a folder of Parquet files in the hub's layout.",
        ) from error
    name = name.removeprefix(PREFIX)
    found = _load(datasets, name, config, split, streaming)
    features = found.features or {}
    image = _only([c for c, f in features.items() if isinstance(f, datasets.Image)], features, name, "image")
    typed = [c for c, f in features.items() if isinstance(f, datasets.ClassLabel)]
    known = [c for c in LABEL_COLUMNS if c in features]
    named = [c for c in typed if c in known]
    label = _only(named if len(named) == 1 else known or typed, features, name, "label")
    found = found.cast_column(image, datasets.Image(decode=False))
    rows: Any = list(found if limit is None else found.take(limit)) if streaming else found
    values = [row[label] for row in rows] if streaming else list(rows[label])
    objects = np.empty(len(values), object)
    objects[:] = values
    labels = read_labels(objects, f"{name}, column '{label}'", getattr(features[label], "names", None))
    hidden = int((labels.numbers < 0).sum())
    if split == "test" and hidden and hidden == len(values):  # as those of the hub's ImageNet
        shown = load_hub(
            name, "validation", config=config, streaming=streaming, limit=limit, geometry=geometry, workers=workers
        )
        shown.remarks = (f"{name}: the test split hides its labels; the validation split was read.", *shown.remarks)
        return shown
    if hidden:
        raise RobenchError(
            f"{name}: {hidden:,} of {len(values):,} rows have no label.",
            hint="Hidden labels cannot be measured against: choose another split or set.",
        )
    source = RowsSource(rows, image, name)
    remarks = (*read_instead(name, split, str(found.split)), *labels.remarks)
    return EncodedImages(source, labels.numbers, labels.classes, geometry=geometry, workers=workers, remarks=remarks)


def _only(found: list[str], features: Any, name: str, kind: str) -> str:
    if len(found) == 1:
        return found[0]
    said = f"several {kind} columns: {', '.join(found)}" if found else f"no {kind} column"
    raise RobenchError(f"{name} has {said}; its columns are {', '.join(features)}.", hint="Choose another data set.")


def _load(datasets: Any, name: str, config: str | None, split: str, streaming: bool) -> Any:
    problem: Exception | None = None
    for alias in [name for kind in (split, *INSTEAD.get(split, ())) for name in NAMES.get(kind, (kind,))]:
        try:
            return datasets.load_dataset(name, config, split=alias, streaming=streaming)
        except ValueError as error:  # no such split; anything else goes to the user as it is
            problem = error
        except Exception as error:
            problem = error
            break
    raise RobenchError(
        f"Could not load the data set {name} (split '{split}'): {problem}.",
        hint="Check the name, the network and the login; with no network give a folder of its Parquet files.",
    ) from problem
