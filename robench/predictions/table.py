"""The columns of the per-image table: what the evaluation keeps, and all that metrics ever see.

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
frame               int32    (n,)  frame within the clip, -P only
logits              float32  (n,K) only where asked for (``--logits``) or K is small
targets             uint8    (n,K) multilabel only: 0/1 for every class
=================== ======== ===== ==============================================================

For a multilabel task ``target``, ``target_probability``, ``nll`` and ``brier`` are of no use (-1, NaN), and
``logits`` and ``targets`` are always kept.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
import numpy.typing as npt

FORMAT_VERSION = 1


@dataclass
class Predictions:
    """Per-image predictions of one cell as arrays; see the module's table of columns."""

    index: npt.NDArray[np.int64]
    target: npt.NDArray[np.int32]
    predicted: npt.NDArray[np.int32]
    confidence: npt.NDArray[np.float32]
    target_probability: npt.NDArray[np.float32]
    nll: npt.NDArray[np.float32]
    brier: npt.NDArray[np.float32]
    entropy: npt.NDArray[np.float32]
    top5: npt.NDArray[np.int32]
    frame: npt.NDArray[np.int32] | None = None
    logits: npt.NDArray[np.float32] | None = None
    targets: npt.NDArray[np.uint8] | None = None

    def __len__(self) -> int:
        return len(self.index)

    @property
    def correct(self) -> npt.NDArray[np.bool_]:
        """Whether the predicted class is the target, shape (n,)."""
        return self.predicted == self.target

    def columns(self) -> dict[str, npt.NDArray[np.generic]]:
        """Return the columns that are there, by name, in the table's order."""
        return {f.name: value for f in fields(self) if (value := getattr(self, f.name)) is not None}

    @classmethod
    def concatenate(cls, parts: list[Predictions]) -> Predictions:
        """Return the rows of ``parts`` one after another."""
        if len(parts) == 1:
            return parts[0]
        names = parts[0].columns()
        return cls(**{name: np.concatenate([getattr(part, name) for part in parts]) for name in names})
