"""Logits and labels that another framework saved: read, checked, and brought to the columns of predictions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from robench.errors import RobenchError

if TYPE_CHECKING:
    from robench.api.options import Place, SavedArray

_SUM_TOLERANCE = 5e-3  # of a row of probabilities in half precision
_FARTHEST = 9.9e5  # nats: results hold less than a million
_SMALLEST = float(np.finfo(np.float32).tiny)


@dataclass(frozen=True)
class SavedLogits:
    """Logits with one label per image.

    Attributes:
        logits: float64 (n, K), finite; logarithms of what was given as probabilities.
        labels: int64 (n,), 0 to K - 1.
        sources: what they were read from, the logits first.
        notes: what was chosen or converted, as sentences.
    """

    logits: npt.NDArray[np.float64]
    labels: npt.NDArray[np.int64]
    sources: tuple[str, str]
    notes: tuple[str, ...]

    def columns(self) -> dict[str, npt.NDArray[Any]]:
        """Return the columns that metrics of a classification are computed from, (n, ...) each, as a run has them."""
        from robench.metrics.probabilities import log_complement
        from robench.metrics.temperature import Scaling, scaled_columns

        given = {"index": np.arange(len(self.labels)), "target": self.labels, "logits": self.logits}
        found = scaled_columns(given, Scaling(np.array(1.0), np.zeros(1)))
        stored = log_complement(self.logits).astype(np.float32)  # as predictions are kept, so that ties are the same
        second, largest = np.partition(self.logits, -2, axis=1)[:, -2:].T
        return found | {
            "confidence": -np.expm1(stored.astype(np.float64)),
            "log_complement": stored,
            "max_logit": largest,
            "second_logit": second,
            "logsumexp": largest + np.log(np.exp(self.logits - largest[:, None]).sum(axis=1)),
        }


def saved_logits(
    logits: Place | SavedArray,
    labels: Place | SavedArray,
    *,
    probabilities: bool = False,
    classes: Place | Sequence[str] | None = None,
    words: tuple[str, str] = ("logits", "labels"),
) -> SavedLogits:
    """Read and check logits and labels.

    Args:
        logits: (n, K), K from 2: an array, or a file (``.npy``, ``.npz``, ``.csv``, ``.tsv``, ``.parquet``).
        labels: (n,) or (n, 1) whole numbers from 0, one-hot (n, K), or names; an array or such a file.
        probabilities: whether ``logits`` are probabilities.
        classes: the names of the K classes in the order of the logits, for labels that are names: a sequence, or a
            text file with one name per line. None: the names of the columns of ``logits``, where those are the names.
        words: what messages call both options.

    Raises:
        RobenchError: not such a file, NaN or infinite values, probabilities that are not called so or logits that
            are, shapes that do not fit, labels that are missing, out of range, or names of an unknown order.
    """
    from robench.api.saved_files import labels_of, rows_of
    from robench.data.labels import HIDDEN, read_labels

    rows, heads, where, rows_notes = rows_of(logits, words[0])
    values, labels_where, label_notes = labels_of(labels, words[1])
    _check_rows(rows, where, probabilities=probabilities, word=words[0])
    names = _classes(classes, heads, rows.shape[1])
    _check_text(values, names, labels_where, words[1])
    found = read_labels(values, labels_where, names)
    _check_counts(rows, found.numbers, where, labels_where)
    if missing := int((found.numbers == HIDDEN).sum()):
        raise RobenchError(
            f"{labels_where}: {missing:,} of {len(rows):,} labels are missing (-1 or empty).",
            hint="Omit these images from both files.",
        )
    if len(rows) and not 0 <= found.numbers.min() <= found.numbers.max() < rows.shape[1]:
        low, high = found.numbers.min(), found.numbers.max()
        raise RobenchError(
            f"{labels_where}: labels from {low} to {high}, but {where} has {rows.shape[1]} classes.",
            hint="Labels count from 0, in the order of the logits.",
        )
    _refuse_far_apart(rows, found.numbers, where)
    rows, more = _as_logits(rows, found.numbers, where) if probabilities else (rows, _unlike_logits(rows, where))
    return SavedLogits(rows, found.numbers, (where, labels_where), (*rows_notes, *label_notes, *found.remarks, *more))


def _refuse_far_apart(rows: npt.NDArray[Any], labels: npt.NDArray[np.int64], where: str) -> None:
    """Refuse logits whose likelihoods no result can hold; classes that are masked may lie as far below."""
    right = np.take_along_axis(rows, labels[:, None], axis=1)[:, 0].astype(np.float64)
    if bad := int((rows.max(axis=1) - right > _FARTHEST).sum()):
        raise RobenchError(
            f"{where}: in {bad:,} of {len(rows):,} rows the logit of the right class lies a million below the largest.",
            hint="Check that these are logits, and that the labels are those of their rows.",
        )


def _check_rows(rows: npt.NDArray[Any], where: str, *, probabilities: bool, word: str) -> None:
    if rows.ndim != 2 or rows.shape[1] < 2 or not len(rows):
        what = "predicted classes" if rows.ndim == 1 else "an array"
        raise RobenchError(
            f"{where}: expected {word} of shape (images, classes) with 2 classes or more; found {what} of shape "
            f"{rows.shape}.",
            hint="Save one row per image and one column per class; for a single sigmoid output z, the columns 0 and z.",
        )
    if bad := int((~np.isfinite(rows)).any(axis=1).sum()):
        row = int(np.flatnonzero(~np.isfinite(rows).all(axis=1))[0])
        raise RobenchError(
            f"{where}: {bad:,} of {len(rows):,} rows have NaN or infinite values, the first is row {row}.",
            hint="Save finite values; a masked class takes a number such as -1e4.",
        )
    sums, inside = rows.sum(axis=1), bool((rows >= 0).all() and (rows <= 1 + _SUM_TOLERANCE).all())
    as_probabilities = inside and bool((np.abs(sums - 1) <= _SUM_TOLERANCE).all())
    if as_probabilities and not probabilities:
        raise RobenchError(
            f"{where}: every row lies between 0 and 1 and sums to 1: these are probabilities, not logits.",
            hint="Add `probabilities=True`, or save the outputs before the softmax.",
        )
    if not probabilities and rows.min() >= 0 and bool((np.abs(sums - 100) <= 100 * _SUM_TOLERANCE).all()):
        raise RobenchError(
            f"{where}: every row is positive and sums to 100: these are percentages, not logits.",
            hint="Divide them by 100 and add `probabilities=True`, or save the outputs before the softmax.",
        )
    if probabilities and not as_probabilities:
        row = int(np.argmax(np.abs(sums - 1) > _SUM_TOLERANCE)) if inside else int(rows.min(axis=1).argmin())
        found = f"row {row} sums to {sums[row]:.6g}" if inside else f"values from {rows.min():.6g} to {rows.max():.6g}"
        raise RobenchError(
            f"{where}: probabilities lie between 0 and 1 and sum to 1 over the classes; {found}.",
            hint="Omit `probabilities` if these are logits.",
        )


def _check_counts(rows: npt.NDArray[Any], labels: npt.NDArray[Any], where: str, labels_where: str) -> None:
    if len(rows) == len(labels):
        return
    hint = "Give one label for each row, in the same order."
    if rows.shape[1] == len(labels):
        hint = "Transpose the logits: one row per image."
    elif len(labels) == len(rows) + 1:
        hint += " A first line that is a number was read as a label: name the column 'label' if it is a header."
    raise RobenchError(
        f"{where} has {len(rows):,} images of {rows.shape[1]:,} classes; {labels_where} has {len(labels):,} labels.",
        hint=hint,
    )


def _classes(given: Place | Sequence[str] | None, heads: tuple[str, ...] | None, count: int) -> tuple[str, ...] | None:
    """Return the classes' names as given, or those of the columns unless these are mere numbers."""
    if given is None:
        return heads if heads is not None and not all(any(c.isdigit() for c in head) for head in heads) else None
    from robench.api.words import place

    names = tuple(given) if not isinstance(given, str) and isinstance(given, Sequence) else None
    if names is None:
        path = place("class_names", given)
        try:
            names = tuple(line.strip() for line in path.read_text(encoding="utf-8").splitlines() if line.strip())
        except (OSError, UnicodeDecodeError) as error:
            raise RobenchError(
                f"Could not read {path}: {error}.", hint="`class_names` takes one name per line."
            ) from error
    if len(names) != count or len(set(names)) != count or not all(isinstance(name, str) for name in names):
        raise RobenchError(
            f"`class_names` has {len(names):,} names, {len(set(names)):,} different; images have {count:,} logits.",
            hint="Give one name per class, in the order of the logits.",
        )
    return names


def _check_text(values: npt.NDArray[Any], names: tuple[str, ...] | None, where: str, word: str) -> None:
    """Refuse labels that are names of an unknown order."""
    if names is not None or values.dtype.kind not in "OUST":
        return
    text = [one.decode(errors="replace") if isinstance(one, bytes) else one for one in values.reshape(-1).tolist()]
    named = next((one for one in text if isinstance(one, str) and not one.strip().lstrip("-").isdecimal()), None)
    if named is not None:
        raise RobenchError(
            f"{where}: the {word} are names, such as {named!r}; which class each stands for is not known.",
            hint="Add `class_names=FILE`: one name per line, in the order of the logits.",
        )


def _as_logits(
    rows: npt.NDArray[np.float64], labels: npt.NDArray[np.int64], where: str
) -> tuple[npt.NDArray[np.float64], tuple[str, ...]]:
    zeros = int((rows[np.arange(len(rows)), labels] < _SMALLEST).sum())
    said = f"{where}: probabilities were read; their rows were scaled to sum to 1."
    told = (
        f"{where}: {zeros:,} labels have probability 0, which has no finite log-likelihood; {_SMALLEST:.1e} was taken.",
    )
    return np.log(np.maximum(rows, _SMALLEST)), (said, *(told if zeros else ()))


def _unlike_logits(rows: npt.NDArray[np.float64], where: str) -> tuple[str, ...]:
    if rows.min() >= 0 and rows.max() <= 1:
        return (f"{where}: every value lies between 0 and 1, as sigmoid outputs do; they were taken for logits.",)
    return ()


def needed_logits(
    logits: Place | SavedArray | None,
    labels: Place | SavedArray | None,
    probabilities: bool,
    classes: Place | Sequence[str] | None,
    words: tuple[str, str] = ("logits", "labels"),
) -> SavedLogits:
    """Return logits and labels of which both must be given.

    Raises:
        RobenchError: one of them is missing, or as :func:`saved_logits`.
    """
    from robench.api.words import flag

    for word, one, other in ((words[0], logits, words[1]), (words[1], labels, words[0])):
        if one is None:
            raise RobenchError(f"`{other}` needs `{word}`.", hint=f"Give `{word}`, a file.")
    return saved_logits(
        logits, labels, probabilities=flag("probabilities", probabilities), classes=classes, words=words
    )
