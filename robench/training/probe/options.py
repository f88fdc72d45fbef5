"""The settings of a head, as `--set` gives them."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from robench.errors import RobenchError, did_you_mean

RECIPES = {
    "linear-probe": "Logistic regression on the features of a frozen backbone",
    "knn": "k-nearest neighbours among the features of a frozen backbone",
}
PAPERS = {
    "linear-probe": "Radford et al. 2021 (arXiv:2103.00020), section 3.2: L-BFGS, strength swept on validation images",
    "knn": "Wu et al. 2018 (arXiv:1805.01978), section 3.4, weights as in DINO (Caron et al. 2021, arXiv:2104.14294)",
}


class _Settings(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    held_out: float = Field(default=0.1, gt=0, lt=1)
    """Share of the training images that the sweep is judged on, where the data has no validation split."""
    limit: int | None = Field(default=None, ge=2)
    """Only so many training images, drawn at random, for a quick try."""
    batch_size: int = Field(default=128, ge=1)
    """Images at a time through the backbone."""
    precision: Literal["fp32", "bf16"] = "fp32"
    """Of the backbone."""


class LinearSettings(_Settings):
    """Logistic regression: mean cross-entropy plus half of ``l2`` times the squared weights.

    Features are standardised (the bias is not penalised); scikit-learn's C is 1 / (l2 * images).
    """

    l2: list[float] = Field(default_factory=lambda: [10.0**-power for power in range(7)], min_length=1)
    """Strengths that are tried; the grid grows where the best is at its end."""
    select: Literal["nll", "accuracy"] = "nll"
    """By which figure on the held-out images the best is chosen."""
    refit: bool = True
    """Fit once more on all training images, the held-out ones among them."""
    max_steps: int = Field(default=1000, ge=1)
    """Steps of L-BFGS per strength."""


class NeighbourSettings(_Settings):
    """k-nearest neighbours by cosine, weighted by exp(cosine / temperature) (Wu et al. 2018)."""

    k: list[int] = Field(default_factory=lambda: [5, 10, 20, 50, 100, 200], min_length=1)
    """Numbers of neighbours that are tried."""
    temperature: float = Field(default=0.07, gt=0)
    floor: float = Field(default=0.01, gt=0, lt=1)
    """Share of the probability that is spread over all classes."""
    select: Literal["nll", "accuracy"] = "nll"


Settings = LinearSettings | NeighbourSettings


def settings_of(recipe: str, assignments: list[str]) -> Settings:
    """Return the settings of a recipe with ``KEY=VALUE`` applied.

    Raises:
        RobenchError: no such setting, or a value of the wrong type.
    """
    import yaml

    kind = LinearSettings if recipe == "linear-probe" else NeighbourSettings
    found: dict[str, Any] = {}
    for assignment in assignments:
        name, equals, text = assignment.partition("=")
        if not equals:
            raise RobenchError(f"'{assignment}' is not KEY=VALUE.", hint="For example `set='held_out=0.2'`.")
        if name not in kind.model_fields:
            raise RobenchError(f"{recipe} has no setting '{name}'.", hint=did_you_mean(name, kind.model_fields))
        try:
            value = yaml.safe_load(text)
        except yaml.YAMLError as error:
            raise RobenchError(f"'{assignment}': the value is not YAML.", hint="For example l2=[0.01, 0.1].") from error
        found[name] = value if not isinstance(value, (int, float)) or name not in ("l2", "k") else [value]
    try:
        made = kind.model_validate(found)
    except ValidationError as error:
        one = error.errors()[0]
        raise RobenchError(
            f"{recipe}: {'.'.join(map(str, one['loc']))}: {one['msg'].lower()} (found {str(one['input'])[:40]!r}).",
            hint="For example `set='held_out=0.2'`.",
        ) from error
    values = made.l2 if isinstance(made, LinearSettings) else made.k
    if min(values) <= 0:
        name = "l2" if isinstance(made, LinearSettings) else "k"
        raise RobenchError(f"{recipe}: {name} takes numbers above 0; found {min(values)}.", hint="Omit it.")
    return made
