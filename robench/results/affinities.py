"""The document of ``robench affinity``: what was seen by what model on which images, and how much worse."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from robench.results.schema import ModelRecord, Value


class ViewRecord(BaseModel):
    """The augmentation: the view of a recipe's method that carries the image's own label."""

    model_config = ConfigDict(extra="forbid")

    recipe: str
    digest: str = Field(description="of the resolved recipe")
    seed: int


class ImagesRecord(BaseModel):
    """The clean test images."""

    model_config = ConfigDict(extra="forbid")

    path: str
    images: int = Field(ge=1)
    complete: bool = Field(description="whether they are all of the set")
    classes: list[str] | None = None
    protocol: dict[str, Any]


class AffinityDocument(BaseModel):
    """Affinity of one augmentation for one model; shares are fractions."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    kind: Literal["robench-affinity"] = "robench-affinity"
    schema_version: Literal[1] = 1
    robench: str
    model: ModelRecord
    view: ViewRecord
    data: ImagesRecord
    clean_accuracy: float = Field(ge=0, le=1)
    augmented_accuracy: float = Field(ge=0, le=1)
    affinity: Value
