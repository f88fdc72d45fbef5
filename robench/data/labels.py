"""Labels in the forms that people keep them in, brought to int64 (N,) or refused by what they are.

Whole numbers of any type, whole numbers in floats, shape (N, 1), true/false, one-hot rows, numbers as text, and class
names are read; whatever was done beyond taking numbers as they stand is said in a remark.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from robench.errors import RobenchError

HIDDEN = -1
"""What stands for a label that is not there."""
SORTED = "labels are names; they were numbered in sorted order."
"""The end of the remark on labels whose order the file does not give."""


@dataclass(frozen=True)
class Labels:
    """Labels as read.

    Attributes:
        numbers: int64 (N,); :data:`HIDDEN` where there is none.
        classes: class names by label, where the labels themselves are names or the file gives them; else None.
        remarks: what was done to the labels as they stand in the file, as sentences.
    """

    numbers: npt.NDArray[np.int64]
    classes: tuple[str, ...] | None = None
    remarks: tuple[str, ...] = ()


def read_labels(values: npt.NDArray[Any], where: str, classes: Sequence[str] | None = None) -> Labels:
    """Bring labels of any form to numbers.

    Args:
        values: (N,), (N, 1) or one-hot (N, K) numbers, booleans or text; None among text or objects stands for a label
            that is missing.
        where: what errors call the labels: the file and column.
        classes: class names by label that come with the labels; text is matched with them.

    Raises:
        RobenchError: fractions, soft labels, several labels per image, text that is not among ``classes``, a number
            beyond them, or another type; the message says what was found.

    >>> read_labels(np.array([[2], [0]], np.uint8), "labels.npy").numbers
    array([2, 0])
    >>> read_labels(np.array(["dog", "cat", "dog"]), "labels.npy").classes
    ('cat', 'dog')
    """
    found = _read(values, where, classes)
    if found.classes is not None and len(found.numbers) and found.numbers.max() >= len(found.classes):
        raise RobenchError(
            f"{where}: there are {len(found.classes)} class names, but a label of {found.numbers.max()}.",
            hint="Labels count from 0; correct them, or the list of names.",
        )
    return found


def _read(values: npt.NDArray[Any], where: str, classes: Sequence[str] | None) -> Labels:
    if values.ndim == 2 and values.shape[1] == 1:
        values = values[:, 0]
    if values.ndim == 2 and len(values):
        return _from_rows(values, where, classes)
    if values.ndim != 1:
        raise _unknown(where, f"labels of shape {values.shape}")
    if values.dtype.kind in "OUST":
        return _from_objects(values.tolist(), where, classes)
    names = tuple(classes) if classes is not None else None
    if values.dtype.kind == "b":
        return Labels(values.astype(np.int64), names, (f"{where}: false and true were read as classes 0 and 1.",))
    return Labels(_whole(values, where), names)


def _whole(values: npt.NDArray[Any], where: str) -> npt.NDArray[np.int64]:
    if values.dtype.kind == "f":
        gaps = np.isnan(values)
        numbers = np.where(gaps, HIDDEN, values)
        if not np.isfinite(numbers).all() or (numbers != np.rint(numbers)).any() or (np.abs(numbers) > 2**53).any():
            wrong = numbers[~np.isfinite(numbers) | (numbers != np.rint(numbers))]
            raise _unknown(
                where, f"labels that are not whole numbers, such as {wrong[0] if len(wrong) else numbers[0]}"
            )
        return numbers.astype(np.int64)
    if values.dtype.kind not in "iu":
        raise _unknown(where, f"labels of type {values.dtype}")
    if values.dtype.kind == "u" and len(values) and int(values.max()) > np.iinfo(np.int64).max:
        raise _unknown(where, f"a label of {int(values.max())}")
    return values.astype(np.int64)


def _from_rows(rows: npt.NDArray[Any], where: str, classes: Sequence[str] | None) -> Labels:
    """Read one-hot rows (N, K)."""
    rows = np.array(rows.tolist()) if rows.dtype.kind == "O" else rows
    shape = f"labels of shape {rows.shape}"
    if rows.dtype.kind not in "biuf":
        raise _unknown(where, f"{shape} and type {rows.dtype}")
    if not np.isin(rows, (0, 1)).all():
        raise _unknown(where, f"{shape} with values besides 0 and 1 (probabilities, or several numbers per image)")
    if (rows.sum(axis=1) != 1).any():
        row = int(np.flatnonzero(rows.sum(axis=1) != 1)[0])
        raise _unknown(where, f"{shape} whose row {row} holds {int(rows[row].sum())} ones (several labels, or none)")
    names = tuple(classes) if classes is not None else None
    return Labels(rows.argmax(axis=1).astype(np.int64), names, (f"{where}: one-hot labels were read as classes.",))


def _from_objects(values: list[Any], where: str, classes: Sequence[str] | None) -> Labels:
    """Read text, or a list of numbers, lists and gaps."""
    values = [_text(value) for value in values]
    there = [value for value in values if value is not None]
    kinds = {type(value) for value in there}
    if kinds <= {str}:
        return _from_text(values, where, classes)
    if all(issubclass(kind, list | tuple | np.ndarray) for kind in kinds):
        if len({len(value) for value in there}) > 1:
            raise _unknown(where, "lists of different lengths (several labels per image)")
        if len(there) < len(values):
            raise _unknown(where, f"{len(values) - len(there):,} rows without a list among lists")
        return read_labels(np.array(there), where, classes)
    if all(issubclass(kind, bool | int | float | np.number | np.bool_) for kind in kinds):
        array = np.array(there)
        found = read_labels(array, where, classes)
        numbers = np.full(len(values), HIDDEN, np.int64)
        numbers[[i for i, value in enumerate(values) if value is not None]] = found.numbers
        return Labels(numbers, found.classes, found.remarks)
    raise _unknown(where, f"labels of the types {', '.join(sorted(kind.__name__ for kind in kinds))}")


def _text(value: Any) -> Any:
    if isinstance(value, bytes):
        return value.decode("utf-8", "backslashreplace")
    return value


def _from_text(values: list[str | None], where: str, classes: Sequence[str] | None) -> Labels:
    there = sorted({value for value in values if value is not None})
    if classes is not None and set(there) <= set(classes):
        number = {name: label for label, name in enumerate(classes)}
        said = f"{where}: labels are names; they were numbered by the file's list of classes."
        return _numbered(values, number, tuple(classes), said)
    if all(value.strip().isdecimal() and value.isascii() for value in there):
        number = {value: int(value) for value in there}
        names = tuple(classes) if classes is not None else None
        return _numbered(values, number, names, f"{where}: labels are numbers written as text.")
    if classes is not None:
        strange = [value for value in there if value not in set(classes)]
        raise RobenchError(
            f"{where}: {len(strange)} of {len(there)} label names are not in the file's own list of classes:"
            f" {', '.join(map(repr, strange[:5]))}.",
            hint="Write the labels as class numbers from 0, or as names of that list.",
        )
    number = {name: label for label, name in enumerate(there)}
    return _numbered(values, number, tuple(there), f"{where}: {SORTED}")


def _numbered(values: list[str | None], number: dict[str, int], classes: tuple[str, ...] | None, said: str) -> Labels:
    numbers = np.array([HIDDEN if value is None else number[value] for value in values], np.int64)
    return Labels(numbers, classes, (said,))


def _unknown(where: str, found: str) -> RobenchError:
    return RobenchError(
        f"{where}: expected one class for each image (a number from 0, or a name); found {found}.",
        hint="Write the labels as one whole number for each image.",
    )
