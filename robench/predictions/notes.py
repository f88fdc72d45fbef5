"""What is worth knowing of a cell's predictions beside the rows; it stands in the metadata of the cell's file.

Nothing here depends on how long a cell took, on the batch size or on float noise, so that a run stopped and taken up
again, or shared by several processes, has the bytes of one that was not.
"""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import BaseModel, ConfigDict, ValidationError

from robench.errors import RobenchError

NAMED = 20
"""Messages of unreadable images that are kept for each cell."""


class _Note(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class OutputCheck(_Note):
    """What the raw outputs of the model look like, before a subset of classes is taken.

    Args:
        images: rows that were looked at.
        in_unit_interval: whether every output lies in [0, 1].
        sums_to_one: whether, besides, every row sums to 1: these are probabilities, not logits.
    """

    images: int
    in_unit_interval: bool = False
    sums_to_one: bool = False

    def joined(self, other: OutputCheck) -> OutputCheck:
        """Return the check of both parts of a cell."""
        return OutputCheck(
            images=self.images + other.images,
            in_unit_interval=self.in_unit_interval and other.in_unit_interval,
            sums_to_one=self.sums_to_one and other.sums_to_one,
        )


class BatchCheck(_Note):
    """Whether logits depend on which images share a batch, beyond float noise.

    Args:
        images: images of the cell's first batch that were run without the others.
        batch: images of that batch; 0 where they made no difference.
        difference: largest difference of a logit, relative to the largest logit, to two digits; 0 within float noise.
        changed: how many of the images got another class; 0 within float noise.
    """

    images: int
    batch: int = 0
    difference: float = 0.0
    changed: int = 0


class CellNotes(_Note):
    """Notes on a cell, or on a part of it.

    Args:
        unreadable: images (sequences: clips) that could not be read and were omitted.
        unreadable_first: messages of the first 20 of them.
        outputs: what the raw outputs look like; None where nobody looked.
        batch: whether they depend on the batch; None where it was not tried, or could not be.
    """

    unreadable: int = 0
    unreadable_first: tuple[str, ...] = ()
    outputs: OutputCheck | None = None
    batch: BatchCheck | None = None

    @classmethod
    def of(
        cls, unreadable: Sequence[str], outputs: OutputCheck | None = None, batch: BatchCheck | None = None
    ) -> CellNotes:
        """Return notes with all messages of unreadable images given."""
        return cls(unreadable=len(unreadable), unreadable_first=tuple(unreadable[:NAMED]), outputs=outputs, batch=batch)

    def joined(self, other: CellNotes) -> CellNotes:
        """Return the notes of a cell from those of two parts that follow one another."""
        outputs = self.outputs.joined(other.outputs) if self.outputs and other.outputs else None
        return CellNotes(
            unreadable=self.unreadable + other.unreadable,
            unreadable_first=(*self.unreadable_first, *other.unreadable_first)[:NAMED],
            outputs=outputs,
            batch=self.batch or other.batch,
        )

    def text(self) -> str:
        """Return it as JSON."""
        return self.model_dump_json(exclude_none=True)

    @classmethod
    def parse(cls, text: bytes, name: str) -> CellNotes:
        """Return notes from JSON.

        Raises:
            RobenchError: they are not notes of a cell.
        """
        try:
            return cls.model_validate_json(text)
        except ValidationError as error:
            raise RobenchError(
                f"The metadata of {name} is damaged: {error.errors()[0]['msg']}.",
                hint="Evaluate again: only this cell is measured again.",
            ) from error
