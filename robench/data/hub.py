"""Hugging Face ``datasets`` as a source: a saved folder, a data set of the hub, or its stream.

A saved folder (``save_to_disk``) is read through pyarrow alone; the hub needs the optional package ``datasets``.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from robench.data.base import Geometry
from robench.data.encoded import EncodedImages
from robench.data.parquet import SPLIT_ALIASES, images_of_table
from robench.errors import RobenchError

PREFIX = "hf:"


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
    try:
        state = json.loads((folder / "state.json").read_text())
        tables = []
        for entry in state["_data_files"]:
            with pa.memory_map(str(folder / entry["filename"])) as file:
                tables.append(pa.ipc.open_stream(file).read_all())
        table = pa.concat_tables(tables)
    except (OSError, ValueError, KeyError, pa.ArrowException) as error:
        raise RobenchError(f"{folder} is no complete saved data set: {error}.", hint="Save it again.") from error
    if state.get("_indices_data_files"):
        raise RobenchError(f"{folder} was saved with an index over its rows.", hint="Call flatten_indices() first.")
    return images_of_table(table, str(folder), geometry=geometry, workers=workers)


def _split_folder(path: Path, split: str) -> Path:
    if not (path / "dataset_dict.json").is_file():
        return path
    splits = json.loads((path / "dataset_dict.json").read_text())["splits"]
    for alias in SPLIT_ALIASES.get(split, (split,)):
        if alias in splits:
            return path / alias
    raise RobenchError(f"{path} has no split '{split}'; it has {', '.join(splits)}.", hint="Choose one of these.")


class RowsSource:
    """Encoded pictures of a ``datasets`` data set, taken row by row."""

    def __init__(self, rows: Any, column: str, name: str) -> None:
        self._rows, self._column, self._name = rows, column, name

    def __len__(self) -> int:
        return len(self._rows)

    def name(self, position: int) -> str:
        """Return data set and row."""
        return f"{self._name} row {position}"

    def fetch(self, position: int) -> bytes:
        """Return one row's bytes."""
        value = self._rows[position][self._column]
        if value.get("bytes") is not None:
            return bytes(value["bytes"])
        return Path(value["path"]).read_bytes()

    def identity(self) -> bytes:
        """Return the data set's own fingerprint, or the lengths of all pictures."""
        fingerprint = getattr(self._rows, "_fingerprint", None)
        if fingerprint is not None:
            return str(fingerprint).encode()
        return np.array([len(self.fetch(i)) for i in range(len(self))], np.int64).tobytes()


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
        RobenchError: ``datasets`` is not installed, the data set cannot be had, or it has no image or label column.
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
    image = next((c for c, f in features.items() if isinstance(f, datasets.Image)), None)
    label = next((c for c, f in features.items() if isinstance(f, datasets.ClassLabel)), None)
    label = label or next((c for c in features if c in ("label", "fine_label", "labels")), None)
    if image is None or label is None:
        raise RobenchError(
            f"{name} has no image or label column; it has {', '.join(features)}.", hint="Choose another."
        )
    found = found.cast_column(image, datasets.Image(decode=False))
    rows = list(found if limit is None else found.take(limit)) if streaming else found
    labels = np.array([row[label] for row in rows] if streaming else rows[label], np.int64)
    if split == "test" and len(labels) and labels.max() < 0:  # hidden, as those of the hub's ImageNet
        return load_hub(
            name, "validation", config=config, streaming=streaming, limit=limit, geometry=geometry, workers=workers
        )
    if len(labels) and labels.min() < 0:
        raise RobenchError(
            f"{name}: {int((labels < 0).sum()):,} of {len(labels):,} rows have no label.",
            hint="Hidden labels cannot be measured against: choose another split or set.",
        )
    classes = getattr(features[label], "names", None)
    return EncodedImages(RowsSource(rows, image, name), labels, classes, geometry=geometry, workers=workers)


def _load(datasets: Any, name: str, config: str | None, split: str, streaming: bool) -> Any:
    problem: Exception | None = None
    for alias in SPLIT_ALIASES.get(split, (split,)):
        try:
            return datasets.load_dataset(name, config, split=alias, streaming=streaming)
        except ValueError as error:  # no such split; anything else goes to the user as it is
            problem = error
        except Exception as error:
            problem = error
            break
    raise RobenchError(
        f"The data set {name} (split '{split}') cannot be had: {problem}.",
        hint="Check the name, the network and the login; with no network give a folder of its Parquet files.",
    ) from problem
