"""Images in Parquet files in the layouts of the Hugging Face hub: an image column and a label column.

Files are named ``SPLIT-00000-of-00002.parquet``, in the folder itself, in ``data/``, or in a folder for each
configuration; or, as the hub's own conversion has them, ``CONFIGURATION/SPLIT/0000.parquet``.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from robench.data.base import Geometry
from robench.data.encoded import EncodedImages
from robench.data.splits import choose_split, kind_of, read_instead
from robench.data.table_columns import Columns, has_labels, wanted_columns
from robench.data.tables import images_of_table, read_bounded
from robench.data.trees import is_folder
from robench.errors import RobenchError

_NUMBERED = re.compile(r"\d+")
_SHARD = re.compile(r"(?P<split>.+?)-(?P<number>\d+)-of-(?P<of>\d+)")


@dataclass(frozen=True)
class _Shard:
    """One Parquet file with what its path says of it; empty where it says nothing."""

    path: Path
    configuration: str
    split: str
    number: int | None
    of: int | None


def find_parquet(folder: Path, split: str) -> list[Path]:
    """Return the Parquet files of a split at ``folder``; none where it holds no file whose path names the split.

    Raises:
        RobenchError: files of several configurations, or a shard that is missing.
    """
    if folder.is_file():
        return [folder] if folder.suffix == ".parquet" else []
    shards = list(_shards(folder))
    if named := choose_split((shard.split for shard in shards), split, str(folder)):
        return _checked(folder, [shard for shard in shards if shard.split == named], named)
    if shards and all(shard.split == "" for shard in shards) and _is_split_folder(folder, shards):
        return _checked(folder, shards, folder.name)
    return []


def refuse_other_files(folder: Path, split: str) -> None:
    """Say of a folder of Parquet files why none of them is the split's.

    Raises:
        RobenchError: there are Parquet files, of other splits or of none.
    """
    shards = list(_shards(folder)) if folder.is_dir() else []
    if not shards:
        return
    splits = sorted({shard.split for shard in shards} - {""})
    if splits:
        raise RobenchError(
            f"{folder} holds Parquet files of the split {', '.join(splits)}; the split '{split}' is not there.",
            hint=f"Get the files of '{split}', or give one of these files itself to measure it all the same.",
        )
    raise RobenchError(
        f"{folder} holds Parquet files whose names do not say of which split they are, such as"
        f" {shards[0].path.relative_to(folder)}.",
        hint="Give the file itself, or name files SPLIT-00000-of-00001.parquet.",
    )


def load_parquet(
    folder: Path, split: str = "test", *, geometry: Geometry | None = None, workers: int | None = None
) -> EncodedImages:
    """Read one split of a data set kept as Parquet files.

    Args:
        folder: a folder of Parquet files, or one file.
        split: ``test`` (else the validation files), ``validation`` or ``train``.
        geometry: resize and crop after decoding.
        workers: decoding threads.

    Raises:
        RobenchError: no file of that split, several configurations, a missing shard, a damaged file, one that would
            grow beyond all measure, no image or label column, or files that name different classes.
    """
    files = find_parquet(folder, split)
    if not files:
        refuse_other_files(folder, split)
        raise RobenchError(
            f"{folder} has no Parquet file of the split '{split}'.",
            hint="Files are named SPLIT-00000-of-00001.parquet in the hub's layout.",
        )
    remarks: list[str] = []
    # The hub's ImageNet hides the labels of its test split; the test set of every protocol is the validation.
    if split == "test" and folder.is_dir() and not has_labels(files[0]):
        files = find_parquet(folder, "validation") or files
        remarks.append(f"{folder}: the test split hides its labels; the validation split was read.")
    elif folder.is_dir():
        above = files[0].relative_to(folder).parts[:-1]
        remarks += read_instead(str(folder), split, _describe(files[0], above).split)
    columns = _common_columns(files)
    table = read_bounded(files, columns)
    found = images_of_table(table, str(files[0]), columns, root=files[0].parent, geometry=geometry, workers=workers)
    found.remarks = (*remarks, *found.remarks)
    return found


def _common_columns(files: Sequence[Path]) -> Columns:
    """Return which columns of a split's files are read, after comparing the names that they give their classes."""
    first = wanted_columns(files[0])
    for file in files[1:]:
        other = wanted_columns(file)
        if None not in (first.classes, other.classes) and other.classes != first.classes:
            raise RobenchError(
                f"{file.name} and {files[0].name} name different classes, or the same in another order.",
                hint="Keep the files of one set in the folder: a label would mean two classes.",
            )
        first = first if first.classes is not None else first._replace(classes=other.classes)
    return first


def _shards(folder: Path, above: tuple[str, ...] = ()) -> Iterator[_Shard]:
    """Yield the Parquet files at most two folders deep."""
    try:
        with os.scandir(folder) as entries:
            seen = sorted((entry for entry in entries if not entry.name.startswith(".")), key=lambda e: e.name)
            folders = [entry.name for entry in seen if is_folder(entry)]
            files = [entry.name for entry in seen if entry.name.endswith(".parquet") and entry.name not in folders]
    except OSError:  # told by the reader that needs the folder
        return
    yield from (_describe(folder / name, above) for name in files)
    if len(above) < 2:
        for name in folders:
            yield from _shards(folder / name, (*above, name))


def _describe(path: Path, above: Sequence[str]) -> _Shard:
    if _NUMBERED.fullmatch(path.stem):  # the hub's conversion: [CONFIGURATION/]SPLIT/0000.parquet
        split = above[-1] if above else ""
        return _Shard(path, "/".join(above[:-1]), split, int(path.stem), None)
    configuration = "/".join(above)
    if match := _SHARD.fullmatch(path.stem):
        return _Shard(path, configuration, match["split"], int(match["number"]), int(match["of"]))
    return _Shard(path, configuration, _split_of(path), None, None)


def _split_of(path: Path) -> str:
    """Return the split that a path names, or nothing."""
    first = path.name.split("-")[0].split(".")[0]
    return first if kind_of(first) else path.parent.name if _NUMBERED.fullmatch(path.stem) else ""


def _is_split_folder(folder: Path, shards: list[_Shard]) -> bool:
    """Whether the folder is that of one split in the hub's conversion: numbered files and nothing else."""
    return all(shard.path.parent == folder and shard.number is not None for shard in shards)


def _checked(folder: Path, shards: list[_Shard], split: str) -> list[Path]:
    """Return the files of one configuration, all of them there."""
    configurations = sorted({shard.configuration for shard in shards})
    if len(configurations) > 1:
        names = [name or "(none)" for name in configurations]
        raise RobenchError(
            f"{folder} holds {len(names)} configurations of the split '{split}': {', '.join(names)}.",
            hint=f"Choose one: give {folder / next(name for name in configurations if name)}, for example.",
        )
    totals = {shard.of for shard in shards}
    if len(totals) > 1:
        raise RobenchError(
            f"{folder}: the files of '{split}' belong to different sets: {', '.join(s.path.name for s in shards[:4])}.",
            hint="Keep those of one set in the folder.",
        )
    (total,) = totals
    numbers = [shard.number for shard in shards if shard.number is not None]
    expected = total if total is not None else max(numbers, default=-1) + 1
    if numbers and (missing := sorted(set(range(expected)) - set(numbers))):
        raise RobenchError(
            f"{folder}: {len(missing)} of the {expected} files of '{split}' are missing, such as number {missing[0]}.",
            hint="Download the set again.",
        )
    return [shard.path for shard in sorted(shards, key=lambda shard: (shard.number or 0, shard.path))]
