"""The record of a run, kept in ``run.json``: what determines its predictions, and what describes it."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from robench.errors import RobenchError
from robench.files import digest
from robench.predictions.table import FORMAT_VERSION

KIND = "robench-run"


class _Record(BaseModel):
    # Fields that a later robench adds are ignored, except in the identity, which is hashed as a whole.
    model_config = ConfigDict(frozen=True, extra="ignore")


class RunIdentity(_Record):
    """Everything that changes a prediction; runs with equal identities have equal predictions up to rounding noise.

    Args:
        protocol: the suite's record of its data: name, version, source, seed, geometry, checksums.
        model: hash of the model.
        preprocessing: normalisation and geometry of the model.
        precision: number format of the forward pass: fp32, bf16 or fp16.
        logits: whether logits are kept.
        scaled_to: the user's resize and crop, where they change images that have a fixed size.
    """

    model_config = ConfigDict(frozen=True, extra="allow")

    protocol: dict[str, Any]
    model: str
    preprocessing: dict[str, Any] = Field(default_factory=dict)
    precision: str = "fp32"
    logits: bool = False
    scaled_to: dict[str, Any] | None = None

    def document(self) -> dict[str, Any]:
        """Return it as JSON keeps it; fields that were not set are omitted."""
        return self.model_dump(exclude_unset=True)


class SuiteInfo(_Record):
    """The suite as it was opened.

    Args:
        name, title, task, version, dataset, num_classes: of the suite's row.
        source: whether the images are published files or generated from clean ones.
        normaliser: name of the table of baseline errors, or None.
        subset: name of the list of classes that logits were cut to, or of superclasses that they were averaged over, or
            None.
        summary: names of the rules that sum up the cells.
        cells: the cells to be measured, in the suite's order.
        whole: cells that make a result complete; by default ``cells``.
        published: cell -> published number of its images (clips, for sequences), where that is fixed; a result on
            another number is not complete.
        protocol: as in :class:`RunIdentity`.
        classes: class names by label, of at most 200 classes, or None.
    """

    name: str
    title: str
    task: Literal["classification", "perturbation", "multilabel", "ood"]
    version: int
    dataset: str
    num_classes: int
    source: Literal["published", "generated"]
    protocol: dict[str, Any]
    cells: tuple[str, ...]
    whole: tuple[str, ...] = ()
    published: dict[str, int] = Field(default_factory=dict)
    summary: tuple[str, ...] = ()
    normaliser: str | None = None
    subset: str | None = None
    classes: tuple[str, ...] | None = None

    @model_validator(mode="before")
    @classmethod
    def _whole_is_cells(cls, values: Any) -> Any:
        if isinstance(values, dict) and "whole" not in values:
            return values | {"whole": values.get("cells", ())}
        return values

    @property
    def limit(self) -> int | None:
        """Images per cell that the run was limited to, or None."""
        limit = self.protocol.get("limit")
        return int(limit) if limit is not None else None

    @property
    def difficulty(self) -> int:
        """Of the run's sequences, 1 to 3; 1 of anything else."""
        return int(self.protocol.get("difficulty") or 1)


class ModelInfo(_Record):
    """The model: its name, its hash, its preprocessing, and its card."""

    name: str
    hash: str
    num_classes: int
    preprocessing: dict[str, Any] = Field(default_factory=dict)
    card: dict[str, Any] = Field(default_factory=dict)


class Environment(_Record):
    """Software versions and hardware of a run; ``started`` is in UTC."""

    robench: str | None = None
    python: str | None = None
    torch: str | None = None
    device: str | None = None
    precision: str | None = None
    batch_size: int | None = None
    started: str | None = None

    def telling(self) -> tuple[str | None, ...]:
        """Return the fields that can change predictions or the trust in them."""
        return self.robench, self.torch, self.device


class Timing(_Record):
    """How long a cell took, from requesting the first batch to the last prediction, and its number of images."""

    seconds: float
    images: int

    def __add__(self, other: Timing) -> Timing:
        """Return the timing of two parts of a cell."""
        return Timing(seconds=round(self.seconds + other.seconds, 4), images=self.images + other.images)


class RunRecord(_Record):
    """What a run measures, and how it was made.

    Args:
        identity: what determines its predictions.
        cells: names of the cells to be measured, in the suite's order.
        suite, model, environment: descriptions, which change nothing.
        command: the command as typed; None from Python.
        remarks: remarks on the suite's files, those of the last call that opened all of them.
        outdated: remarks of earlier calls, which opened the same images elsewhere: results must not repeat them.
        earlier: other environments in which some of its cells were measured before it was resumed.
        timings: by cell; cells measured by a process that was killed have none.
        format: version of the predictions table that the run was started with.
    """

    identity: RunIdentity
    cells: tuple[str, ...]
    suite: SuiteInfo
    model: ModelInfo
    environment: Environment = Environment()
    command: str | None = None
    remarks: tuple[str, ...] = ()
    outdated: tuple[str, ...] = ()
    earlier: tuple[Environment, ...] = ()
    timings: dict[str, Timing] = Field(default_factory=dict)
    format: int = FORMAT_VERSION

    @property
    def hash(self) -> str:
        """SHA-256 of the identity and the format."""
        return digest({"format": self.format, **self.identity.document()})

    def document(self) -> dict[str, Any]:
        """Return the record as ``run.json`` keeps it."""
        info = self.model_dump(
            mode="json", include={"suite", "model", "environment", "command", "remarks", "earlier", "timings"}
        )
        if self.outdated:
            info["outdated"] = list(self.outdated)
        return {
            "kind": KIND,
            "format": self.format,
            "hash": self.hash,
            "identity": self.identity.document(),
            "cells": list(self.cells),
            "info": info,
        }

    @classmethod
    def parse(cls, document: dict[str, Any], name: str) -> RunRecord:
        """Return the record of a ``run.json``, of this version or an earlier one.

        Args:
            document: as read from JSON.
            name: what messages call it.

        Raises:
            RobenchError: not a run record, a damaged one, or one of a newer robench; the message names the fields.
        """
        version = document.get("format")
        if document.get("kind") != KIND or not isinstance(version, int) or isinstance(version, bool):
            raise RobenchError(f"{name} is not the record of a run.", hint="Evaluate into a new folder: `out`.")
        if version > FORMAT_VERSION:
            raise RobenchError(
                f"{name} was written by a newer robench (format {version}; this one reads up to {FORMAT_VERSION}).",
                hint="Update with `pip install -U robench`.",
            )
        info = document.get("info")
        fields = {key: document[key] for key in ("identity", "cells", "format") if key in document}
        try:
            return cls.model_validate({**(info if isinstance(info, dict) else {}), **fields})
        except ValidationError as error:
            problems = [f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors()[:3]]
            raise RobenchError(
                f"{name} is damaged: {'; '.join(problems)}.", hint="Evaluate into a new folder: `out`."
            ) from error
