"""``card.yaml``: what a trained model is, how to load it, and how to reproduce it."""

from __future__ import annotations

import datetime
import math
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, JsonValue, StrictInt, StrictStr, ValidationError

from robench.documents import read_document
from robench.errors import RobenchError

_HINT = "Train the model again (robench train), or correct the card: CONTRIBUTING.md lists its fields."
_Name = Annotated[StrictStr, Field(min_length=1, max_length=200)]
_Positive = Annotated[FiniteFloat, Field(gt=0)]


class Card(BaseModel):
    """The fields that loading needs; a card may have any others, of plain values.

    Args:
        name: what tables call the model.
        architecture: as for :func:`robench.models.networks.build`.
        num_classes: K; 0 for a network that is not a classifier.
        mean, std: normalisation per channel, for images in [0, 1].
        norm: normalisation layers.
        dataset: what it was trained on.
        classes: names of the K classes; None: those of the data set, where robench knows them.
    """

    model_config = ConfigDict(extra="allow", frozen=True)
    __pydantic_extra__: dict[str, JsonValue] = Field(init=False)

    name: _Name
    architecture: _Name
    num_classes: Annotated[StrictInt, Field(ge=0, le=100_000)]
    mean: tuple[FiniteFloat, FiniteFloat, FiniteFloat]
    std: tuple[_Positive, _Positive, _Positive]
    norm: _Name = "bn"
    dataset: StrictStr | None = None
    classes: tuple[StrictStr, ...] | None = None


def read_card(folder: Path) -> dict[str, Any]:
    """Return the fields of the model card in a folder, in its order; dates as text.

    Raises:
        RobenchError: it is unreadable, lacks a field, or has a field of the wrong type.
    """
    path = folder / "card.yaml"
    document = _plain(read_document(path, "model card", hint=_HINT))
    check_card(document, str(path))
    return dict(document)


def check_card(document: dict[str, Any], where: str) -> Card:
    """Return a document as a card.

    Raises:
        RobenchError: it is not one; the message names the fields, what was expected and what was found.
    """
    try:
        card = Card.model_validate(document)
    except ValidationError as error:
        problems = [_problem(one) for one in error.errors()[:3]]
        raise RobenchError(f"{where} is not a model card: {'; '.join(problems)}.", hint=_HINT) from error
    if not _is_finite(document):
        raise RobenchError(f"{where} is not a model card: it holds NaN or infinity.", hint=_HINT)
    if card.classes is not None and len(card.classes) != card.num_classes:
        raise RobenchError(
            f"{where} is not a model card: it names {len(card.classes)} classes of {card.num_classes}.", hint=_HINT
        )
    return card


def _problem(error: Any) -> str:
    place = ".".join(str(part) for part in error["loc"] if not str(part).startswith("__"))
    if error["type"] == "missing":
        return f"it lacks {place}"
    found = repr(error["input"])
    return f"{place}: {error['msg'].lower()} (found {found[:60]}{'...' if len(found) > 60 else ''})"


def _is_finite(value: Any) -> bool:
    if isinstance(value, (dict, list)):
        return all(_is_finite(part) for part in (value.values() if isinstance(value, dict) else value))
    return not isinstance(value, float) or math.isfinite(value)


def _plain(value: Any) -> Any:
    """Return a document with dates as text: YAML has dates, JSON has none."""
    if isinstance(value, dict):
        return {key: _plain(part) for key, part in value.items()}
    if isinstance(value, list):
        return [_plain(part) for part in value]
    return value.isoformat() if isinstance(value, (datetime.date, datetime.time)) else value
