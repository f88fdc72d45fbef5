"""Notes on a cell's predictions as a whole, kept in the metadata of the cell's file.

Nothing here depends on how long a cell took or on rounding noise, so that a run that was stopped and resumed, or shared
by several processes, has the same bytes as one that was not.
"""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import BaseModel, ConfigDict, ValidationError

from robench.errors import RobenchError

NAMED = 20
"""Number of messages of unreadable images that are kept per cell."""


class _Note(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class OutputCheck(_Note):
    """Properties of the model's raw outputs, before a subset of classes is taken.

    Args:
        images: number of rows checked.
        in_unit_interval: whether every output lies in [0, 1].
        sums_to_one: whether every row also sums to 1: these are probabilities, not logits.
        share_a_sum: whether no output is negative and all rows, at least 8, have another sum in common, such as 100:
            scaled probabilities. None: no.
        about_zero: whether every output lies in [-1, 1], and one below 0: cosines, or what ends in tanh. None: no.
    """

    images: int
    in_unit_interval: bool = False
    sums_to_one: bool = False
    share_a_sum: bool | None = None
    about_zero: bool | None = None

    def joined(self, other: OutputCheck) -> OutputCheck:
        """Return the check of two parts of a cell together."""
        return OutputCheck(
            images=self.images + other.images,
            in_unit_interval=self.in_unit_interval and other.in_unit_interval,
            sums_to_one=self.sums_to_one and other.sums_to_one,
            share_a_sum=(self.share_a_sum and other.share_a_sum) or None,
            about_zero=(self.about_zero and other.about_zero) or None,
        )


class BatchCheck(_Note):
    """Whether logits depend on which images share a batch, beyond rounding noise.

    Args:
        images: number of images of the cell's first batch that were run without the rest.
        batch: size of that batch; 0 where it made no difference.
        difference: largest difference of a logit relative to the largest logit, two digits; 0 within rounding noise.
        changed: how many of the images got another class; 0 within rounding noise.
    """

    images: int
    batch: int = 0
    difference: float = 0.0
    changed: int = 0


class AttackCheck(_Note):
    """Whether an attack may have failed because gradients are masked, on some images of a cell.

    Args:
        images: number of images of the cell's first batch that were attacked again.
        error, nll: of the cell's attack on them, a fraction and nats.
        without_gradient: how many of them have no gradient at all at the image itself.
        more_steps: steps of a longer attack; 0: not tried.
        more_error, more_nll: of that.
        surrogate: name of the model on which black-box images were found; "": none was given.
        transfer_error, transfer_nll: of these images.
    """

    images: int
    error: float
    nll: float
    without_gradient: int = 0
    more_steps: int = 0
    more_error: float = 0.0
    more_nll: float = 0.0
    surrogate: str = ""
    transfer_error: float = 0.0
    transfer_nll: float = 0.0


class Sample(_Note):
    """Which of a cell's images were measured, where not all of them were.

    Args:
        drawn: images (sequences: clips) that were drawn; unreadable ones count.
        of: images of the whole cell.
        key: what the order of the draws depends on; see :mod:`robench.suites.drawing`.
    """

    drawn: int
    of: int
    key: str


class CellNotes(_Note):
    """Notes on a cell, or on part of one.

    Args:
        unreadable: images (sequences: clips) that could not be read and were omitted.
        unreadable_first: messages of the first 20 of them.
        outputs: properties of the raw outputs; None where they were not checked.
        batch: whether they depend on the batch; None where that was not or could not be checked.
        attack: whether gradients may be masked; None where the images are not those of an attack.
        sample: which images were drawn; None: all of the cell.
    """

    unreadable: int = 0
    unreadable_first: tuple[str, ...] = ()
    outputs: OutputCheck | None = None
    batch: BatchCheck | None = None
    attack: AttackCheck | None = None
    sample: Sample | None = None

    @classmethod
    def of(
        cls, unreadable: Sequence[str], outputs: OutputCheck | None = None, batch: BatchCheck | None = None
    ) -> CellNotes:
        """Return notes from the messages of all unreadable images.

        Args:
            unreadable: a message per unreadable image.
            outputs: properties of the raw outputs.
            batch: whether they depend on the batch.

        >>> CellNotes.of(["7.png cannot be decoded"]).unreadable
        1
        """
        return cls(unreadable=len(unreadable), unreadable_first=tuple(unreadable[:NAMED]), outputs=outputs, batch=batch)

    def joined(self, other: CellNotes) -> CellNotes:
        """Return the notes of two parts of a cell together, but for the sample that they make up."""
        outputs = self.outputs.joined(other.outputs) if self.outputs and other.outputs else None
        return CellNotes(
            unreadable=self.unreadable + other.unreadable,
            unreadable_first=(*self.unreadable_first, *other.unreadable_first)[:NAMED],
            outputs=outputs,
            batch=self.batch or other.batch,
            attack=self.attack or other.attack,
        )

    def text(self) -> str:
        """Return it as JSON."""
        return self.model_dump_json(exclude_none=True)

    @classmethod
    def parse(cls, text: bytes, name: str) -> CellNotes:
        """Return notes from JSON.

        Raises:
            RobenchError: not the notes of a cell.
        """
        try:
            return cls.model_validate_json(text)
        except ValidationError as error:
            raise RobenchError(
                f"The metadata of {name} is damaged: {error.errors()[0]['msg']}.",
                hint="Evaluate again: only this cell is measured again.",
            ) from error
