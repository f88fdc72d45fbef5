"""The columns of the per-image table: what the evaluation keeps, and the only input of metrics.

=================== ======== ===== ==============================================================
column              dtype    shape meaning
=================== ======== ===== ==============================================================
index               int64    (n,)  the image's index in its clean data set (for -P: the clip's)
target              int32    (n,)  label, -1 where there is none
predicted           int32    (n,)  class of the largest logit, the lowest index on a tie
confidence          float32  (n,)  softmax probability of ``predicted``, in [0, 1]
target_probability  float32  (n,)  softmax probability of ``target``; NaN without a target
nll                 float32  (n,)  -log softmax probability of ``target``, in nats; NaN without a target
brier               float32  (n,)  sum over classes of (p - onehot)^2, in [0, 2]; NaN without a target
entropy             float32  (n,)  -sum p log p, in nats
top5                int32    (n,5) classes by falling logit, lower index first on ties, -1 where K < 5
log_complement      float32  (n,)  log(1 - confidence), in nats, at most 0; does not saturate where confidence is 1
logsumexp           float32  (n,)  log sum exp of the logits, in nats; its negative is the energy score
max_logit           float32  (n,)  the largest logit
second_logit        float32  (n,)  the second largest (equal to the largest on a tie); NaN where K = 1
target_rank         int32    (n,)  classes before ``target`` in the order of ``top5``, 0 to K - 1; -1 without a target
target_tail         float32  (n,)  probability of the classes after ``target`` in that order, in [0, 1]; NaN without
fingerprint         int64    (n,)  hash of the image's pixels as given to the model
frame               int32    (n,)  frame within the clip, -P only
logits              float32  (n,K) only where asked for (``logits``) or K is small
targets             uint8    (n,K) multilabel only: 0/1 for every class
=================== ======== ===== ==============================================================

In a multilabel task ``target``, ``target_probability``, ``nll`` and ``brier`` are undefined (-1, NaN), and ``logits``
and ``targets`` are always kept.

Besides accuracy and calibration, these can be computed without the model: the energy score (``-logsumexp``) and the
largest logit, for out-of-distribution detection; the margin in logits (``max_logit - second_logit``) and in probability
(``confidence - second_probability``); and the scores of conformal sets: 1 - ``target_probability``, and for adaptive
prediction sets (Romano et al. 2020) the cumulative probability up to and including the target
(``target_cumulative``), of which ``target_probability`` is the part that randomises. The sizes of such
sets beyond the first five classes need ``logits``.

Version 1 of the table lacked the columns from ``log_complement`` to ``fingerprint``, which are then None, and had
zeros of both signs in ``nll``.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from functools import reduce
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from robench.errors import RobenchError
from robench.predictions.notes import CellNotes, Sample

if TYPE_CHECKING:
    import pandas as pd

FORMAT_VERSION = 2
_NOT_STORED = ("notes", "difficulty")  # of a cell, not of its images: the metadata and the run's record have them


@dataclass(repr=False)
class Predictions:
    """Per-image predictions of one cell as arrays; see the module's table of columns.

    ``notes`` concern the cell as a whole: unreadable images, checks of the raw outputs; None in files of version 1.
    ``top5`` is None only where it was not read. ``difficulty`` is that of the run's sequences, 1 of anything else; it
    says which frames are compared (:func:`robench.metrics.perturbation.frame_pairs`).
    """

    index: npt.NDArray[np.int64]
    target: npt.NDArray[np.int32]
    predicted: npt.NDArray[np.int32]
    confidence: npt.NDArray[np.float32]
    target_probability: npt.NDArray[np.float32]
    nll: npt.NDArray[np.float32]
    brier: npt.NDArray[np.float32]
    entropy: npt.NDArray[np.float32]
    top5: npt.NDArray[np.int32] | None = None
    log_complement: npt.NDArray[np.float32] | None = None
    logsumexp: npt.NDArray[np.float32] | None = None
    max_logit: npt.NDArray[np.float32] | None = None
    second_logit: npt.NDArray[np.float32] | None = None
    target_rank: npt.NDArray[np.int32] | None = None
    target_tail: npt.NDArray[np.float32] | None = None
    fingerprint: npt.NDArray[np.int64] | None = None
    frame: npt.NDArray[np.int32] | None = None
    logits: npt.NDArray[np.float32] | None = None
    targets: npt.NDArray[np.uint8] | None = None
    notes: CellNotes | None = None
    difficulty: int = 1

    def __len__(self) -> int:
        return len(self.index)

    @property
    def correct(self) -> npt.NDArray[np.bool_]:
        """Whether the predicted class is the target, shape (n,)."""
        return self.predicted == self.target

    @property
    def fine_confidence(self) -> npt.NDArray[np.float64]:
        """Confidence in float64, shape (n,), in [0, 1], without ties at 1; in version 1 that of the file.

        Beyond log(1 - confidence) = -37 float64 has ties at 1 too; ``log_complement`` has none.
        """
        if self.log_complement is None:
            return self.confidence.astype(np.float64)
        return -np.expm1(self.log_complement.astype(np.float64))

    @property
    def second_probability(self) -> npt.NDArray[np.float64] | None:
        """Softmax probability of the second class, shape (n,), in [0, 0.5]; NaN where K = 1; None in version 1."""
        if self.second_logit is None or self.logsumexp is None:
            return None
        return np.exp(self.second_logit.astype(np.float64) - self.logsumexp)

    @property
    def target_cumulative(self) -> npt.NDArray[np.float64] | None:
        """Probability of the target and all classes ranked before it, shape (n,), in [0, 1]; None in version 1."""
        return None if self.target_tail is None else 1.0 - self.target_tail.astype(np.float64)

    def stored(self) -> dict[str, npt.NDArray[np.generic]]:
        """Return the existing columns by name, in the table's order, as stored."""
        values = {f.name: getattr(self, f.name) for f in fields(self) if f.name not in _NOT_STORED}
        return {name: value for name, value in values.items() if value is not None}

    def columns(self) -> dict[str, npt.NDArray[np.generic]]:
        """Return the existing columns by name, as metrics take them: ``confidence`` is in float64.

        Where it is not 1, ``difficulty`` () stands with them.
        """
        found = self.stored() | {"confidence": self.fine_confidence}
        return found if self.difficulty == 1 else found | {"difficulty": np.array(self.difficulty)}

    def __repr__(self) -> str:
        error = f", {100 * (1 - self.correct.mean()):.2f} % wrong" if len(self) and self.targets is None else ""
        return f"<Predictions of {len(self):,} images{error}; columns {', '.join(self.stored())}>"

    def to_frame(self) -> pd.DataFrame:
        """Return the columns as a pandas data frame, one row per image (or frame); lists stay arrays.

        Raises:
            RobenchError: pandas is not installed.

        >>> import numpy as np
        >>> one = np.zeros(1, np.float32)
        >>> cell = Predictions(index=np.array([7]), target=np.array([1], np.int32), predicted=np.array([1], np.int32),
        ...                    confidence=one, target_probability=one, nll=one, brier=one, entropy=one,
        ...                    top5=np.array([[1, 0, 2, 3, 4]], np.int32))
        >>> cell.to_frame()[["index", "target", "predicted"]].values.tolist()
        [[7, 1, 1]]
        """
        try:
            import pandas
        except ImportError as error:
            raise RobenchError("Data frames need pandas, which is not installed.", hint="pip install pandas") from error
        return pandas.DataFrame({name: list(v) if v.ndim > 1 else v for name, v in self.stored().items()})

    def rows(self, chosen: npt.NDArray[Any]) -> Predictions:
        """Return some of the rows: ``chosen`` are positions, or whether each is kept."""
        columns: dict[str, Any] = {name: value[chosen] for name, value in self.stored().items()}
        return Predictions(**columns, notes=self.notes, difficulty=self.difficulty)

    def in_order(self) -> Predictions:
        """Return the rows by rising index; frames of a clip stay in their order."""
        order = np.argsort(self.index, kind="stable")
        return self if np.array_equal(order, np.arange(len(order))) else self.rows(order)

    def of_sample(self, sample: Sample | None) -> Predictions:
        """Return the same rows, noted as a sample of the cell's images (None: as all of them)."""
        notes = (self.notes or CellNotes()).model_copy(update={"sample": sample})
        return replace(self, notes=notes)

    @classmethod
    def concatenate(cls, parts: list[Predictions]) -> Predictions:
        """Return the rows of ``parts`` in order and their joined notes; columns missing in a part are dropped."""
        if len(parts) == 1:
            return parts[0]
        names = [name for name in parts[0].stored() if all(getattr(part, name) is not None for part in parts)]
        notes = [part.notes for part in parts]
        joined = None if None in notes else reduce(CellNotes.joined, (note for note in notes if note is not None))
        columns: dict[str, Any] = {name: np.concatenate([getattr(part, name) for part in parts]) for name in names}
        return cls(**columns, notes=joined, difficulty=max(part.difficulty for part in parts))
