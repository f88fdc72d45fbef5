"""The result document: what was measured, by which protocol, on which bytes, with which model, by which code.

One JSON file, with a version. Every value is a fraction (or nats) as its metric's unit says; tables multiply by
100. A value that cannot be computed has ``value: null`` and says why in ``note``; JSON has no NaN here.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, SerializerFunctionWrapHandler, model_serializer

from robench.registry import Registry

if TYPE_CHECKING:
    import pandas as pd

SCHEMA_VERSION = 2

# Views read results, so they are named here, never imported.
_VIEWS: Registry[Any] = Registry(
    "view of a result",
    {
        "frame": "robench.results.notebook:frame",
        "html": "robench.results.notebook:html",
        "line": "robench.results.notebook:line",
        "plot": "robench.plots.accessor:ResultPlots",
    },
)


class _Document(BaseModel):
    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)


Number = Annotated[float, Field(ge=-1e6, le=1e6)]
Share = Annotated[float, Field(ge=0, le=1)]


class Value(_Document):
    """One number with its 95 % intervals.

    ``low`` and ``high`` are for new images of the same kind. Where only a sample of the suite was measured,
    ``full_run_low`` and ``full_run_high`` say where the value of the full run lies; of a full run they are left out.
    """

    value: Number | None
    low: Number | None = None
    high: Number | None = None
    full_run_low: Number | None = None
    full_run_high: Number | None = None
    note: str | None = None

    @model_serializer(mode="wrap")
    def _without_unused(self, serialise: SerializerFunctionWrapHandler) -> dict[str, Any]:
        document: dict[str, Any] = serialise(self)
        if self.full_run_low is None:
            del document["full_run_low"], document["full_run_high"]
        return document


class ReliabilityBin(_Document):
    """One bin of a reliability diagram: images, their mean confidence and accuracy, the accuracy's interval."""

    count: int = Field(ge=0)
    confidence: Share | None = None
    accuracy: Share | None = None
    low: Share | None = None
    high: Share | None = None


class CellResult(_Document):
    """The values of one cell."""

    name: str
    condition: str
    severity: int | None
    images: int = Field(ge=0, description="images; of sequences, clips")
    of: int | None = Field(default=None, ge=1, description="images of the whole cell, where only some were measured")
    frames: int = Field(default=1, ge=1, description="rows per image: frames of a clip, or attempts at an image")
    failed: int = Field(default=0, ge=0, description="images that could not be read and were omitted")
    predictions_sha256: str | None = None
    metrics: dict[str, Value]

    @model_serializer(mode="wrap")
    def _without_unused(self, serialise: SerializerFunctionWrapHandler) -> dict[str, Any]:
        document: dict[str, Any] = serialise(self)
        if self.of is None:
            del document["of"]
        return document


class SampledRecord(_Document):
    """How much of the suite was measured: forward passes, of those that all its images would take."""

    passes: int
    of: int
    control: str | None = Field(default=None, description="what values were corrected by, known of all images before")

    @model_serializer(mode="wrap")
    def _without_unused(self, serialise: SerializerFunctionWrapHandler) -> dict[str, Any]:
        document: dict[str, Any] = serialise(self)
        if self.control is None:
            del document["control"]
        return document

    @property
    def text(self) -> str:
        """In words: ``sampled: 54,000 of 3,750,000``; what corrects the values is named too."""
        control = f", corrected by {self.control}" if self.control else ""
        return f"sampled: {self.passes:,} of {self.of:,}{control}"


class SuiteRecord(_Document):
    """The protocol: ``protocol`` holds everything about the data that changes numbers."""

    name: str
    title: str
    version: int
    dataset: str
    num_classes: int
    source: Literal["published", "generated"]
    normaliser: str | None = None
    complete: bool = Field(description="whether every cell of the suite was measured on all of its images")
    sampled: SampledRecord | None = Field(default=None, description="only where some cells lack images")
    protocol: dict[str, Any]

    @model_serializer(mode="wrap")
    def _without_unused(self, serialise: SerializerFunctionWrapHandler) -> dict[str, Any]:
        document: dict[str, Any] = serialise(self)
        if self.sampled is None:
            del document["sampled"]
        return document


class ModelRecord(_Document):
    """The model: its name, the hash of its weights, its preprocessing, and what its card says."""

    name: str
    hash: str
    num_classes: int
    preprocessing: dict[str, Any]
    card: dict[str, Any] = Field(default_factory=dict)


class RunRecord(_Document):
    """Software versions, hardware and throughput."""

    robench: str
    python: str | None = None
    torch: str | None = None
    device: str | None = None
    precision: str | None = None
    batch_size: int | None = None
    started: str | None = None
    seconds: float | None = None
    images_per_second: float | None = None
    command: str | None = None
    identity: str | None = Field(default=None, description="hash of all that changes a prediction")


class StatisticsRecord(_Document):
    """How the intervals were computed."""

    method: str = "paired percentile bootstrap over images, less its bias"
    resamples: int = 1000
    seed: int = 0
    level: float = 0.95


class Result(_Document):
    """One model on one suite."""

    kind: Literal["robench-result"] = "robench-result"
    schema_version: int = SCHEMA_VERSION
    status: Literal["complete", "partial"] = "complete"
    suite: SuiteRecord
    model: ModelRecord
    run: RunRecord
    statistics: StatisticsRecord
    summary: dict[str, Value] = Field(description="summary values of the suite by name")
    conditions: dict[str, dict[str, Value]] = Field(
        default_factory=dict, description="per condition, the mean over its severities: metric -> value"
    )
    severities: dict[str, dict[str, Value]] = Field(
        default_factory=dict,
        description="per severity ('0' is clean), the mean over the 15 benchmark corruptions: metric -> value",
    )
    reliability: dict[str, list[ReliabilityBin]] = Field(
        default_factory=dict,
        description="15 uniform bins of confidence, pooled over corruptions; keys 'clean' and 'severity/1'..'/5'",
    )
    cells: list[CellResult]
    failures: list[str] = Field(default_factory=list)
    notes: list[str] = Field(default_factory=list)

    @property
    def images(self) -> int:
        """Images of the largest cell, measured or, of a sampled result, drawn from."""
        return max((cell.of or cell.images for cell in self.cells), default=0)

    @property
    def folder(self) -> Path | None:
        """The run's folder, with its predictions; None of a result that was read from elsewhere."""
        return self.__dict__.get("_folder")

    def of_run(self, folder: Path) -> Self:
        """Note which run's folder this result is of, and return it; its document does not hold that."""
        self.__dict__["_folder"] = folder  # no field: equal results stay equal wherever their runs lie
        return self

    def __repr__(self) -> str:
        text: str = _VIEWS.get("line")(self)
        return text

    __str__ = __repr__

    def _repr_html_(self) -> str:
        """The terminal's table, for notebooks."""
        text: str = _VIEWS.get("html")(self)
        return text

    def to_frame(self, shape: Literal["cells", "summary"] = "cells") -> pd.DataFrame:
        """Return the values as a pandas data frame, as fractions (or nats), with null as NaN.

        Args:
            shape: ``cells``: one row per cell and metric, with value, 95 % intervals and note; ``summary``: one row
                with a column per summary value, ``NAME``, ``NAME_low`` and ``NAME_high``.

        Raises:
            RobenchError: pandas is not installed.
        """
        found: pd.DataFrame = _VIEWS.get("frame")(self, shape)
        return found

    @property
    def plot(self) -> Any:
        """The plots of this result as methods: ``result.plot.severity()`` returns a matplotlib ``Figure``."""
        return _VIEWS.get("plot")(self)
