"""What a training run is made of: one document, checked before anything is read or trained."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from robench.errors import RobenchError, did_you_mean
from robench.processes import Precision, as_precision


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", validate_assignment=True, allow_inf_nan=False)


class DataPart(_Part):
    """The training images and what every view of them goes through before the method's own augmentation."""

    dataset: str
    size: int = Field(ge=1)
    """Side in pixels of the network's input."""
    mean: tuple[float, float, float] = (0.0, 0.0, 0.0)
    std: tuple[float, float, float] = (1.0, 1.0, 1.0)
    flip: bool = True
    """Mirror every image left to right with probability 1/2."""
    pad: int = Field(default=4, ge=0, le=4096)
    """Random crop of ``size`` from the image padded by this many black pixels; 0: none."""
    resized_crop: tuple[float, float] | None = None
    """Area range of a random resized crop (images of any size, in folders); takes the place of ``pad``'s crop."""
    train_split: str = "train"
    test_split: str = "test"
    validation_split: str | None = None
    """Split of the data set with the held-out images, where it has one."""
    validation: int = Field(default=0, ge=0)
    """Training images held out (the same ones for every method and seed) where it has none; not with ``extra``, which
    may hold copies of them."""
    extra: list[str] = Field(default_factory=list)
    """More folders of training images (DeepAugment's written sets), concatenated to the first: paths, or names of
    folders in or next to the data's."""
    definition: str | None = None
    """The training images are those of a metadata split (``dfr``, ``svsf``, or a YAML file), listed in a manifest."""
    limit: int | None = Field(default=None, ge=1)
    """Use only so many training images, for a quick try: the first, or evenly spaced ones where they lie in the order
    of their classes, as in folders."""

    @property
    def padding(self) -> int:
        """``pad``, or 0 where a random resized crop takes its place."""
        return self.pad if self.resized_crop is None else 0


class OptimiserPart(_Part):
    """The update rule and its schedule."""

    name: Literal["sgd", "adam"] = "sgd"
    lr: float = Field(default=0.1, gt=0)
    backbone: float = Field(default=1.0, ge=0)
    """Factor on the learning rate of all weights but those of the last linear layer."""
    momentum: float = Field(default=0.9, ge=0, lt=1)
    nesterov: bool = True
    weight_decay: float = Field(default=5e-4, ge=0)
    schedule: Literal["cosine", "cosine-epoch", "step", "constant"] = "cosine"
    """``cosine`` moves every step, ``cosine-epoch`` every epoch, ``step`` divides at ``milestones``."""
    final_lr: float = Field(default=1e-6, ge=0)
    milestones: list[float] = Field(default_factory=list)
    """Epochs at which the learning rate is multiplied by ``gamma``."""
    gamma: float = 0.1
    warmup_epochs: float = Field(default=0.0, ge=0)
    clip_norm: float | None = Field(default=None, gt=0)
    ema: float | None = Field(default=None, gt=0, lt=1)
    """Decay of the exponential moving average of the weights that is saved in place of the last ones."""


class BeforePart(_Part):
    """A method whose images the recipe's own method then augments: DeepAugment before AugMix, for example."""

    method: str
    options: dict[str, Any] = Field(default_factory=dict)


class Recipe(_Part):
    """One training run in full.

    Every field can be overridden: ``robench.train(name, set="optimiser.lr=0.05")``, ``--set optimiser.lr=0.05``.
    """

    name: str
    title: str
    paper: str
    """Paper, and the table row it makes; where code and paper differ, which of them this recipe follows."""
    notes: str = ""
    method: str
    options: dict[str, Any] = Field(default_factory=dict)
    """The method's own settings; unknown ones are refused."""
    before: BeforePart | None = None
    """Another method that comes first."""
    architecture: str
    norm: Literal["bn", "ibn", "dubn", "dubin", "splitbn", "splitbn-shared"] = "bn"
    num_classes: int = Field(ge=0)
    data: DataPart
    optimiser: OptimiserPart = Field(default_factory=OptimiserPart)
    epochs: int = Field(ge=1, le=1_000_000)
    batch_size: int = Field(default=128, ge=1)
    """Images per step over all processes (torchrun splits it)."""
    drop_last: bool = False
    seed: int = Field(default=1, ge=0, lt=2**63)
    init: str | None = None
    """Weights to start from: ``torchvision:resnet50.IMAGENET1K_V1``, or a file (``.safetensors``, ``.pth``)."""
    precision: Literal["fp32", "bf16"] = "fp32"
    """Of the forward and backward passes; the weights and their updates are float32."""
    weights: Precision = "fp32"
    """Type in which the weights are saved; the card's accuracies are measured after this rounding."""
    compile: bool = False
    sync_bn: bool = False
    checkpoint_steps: int = Field(default=0, ge=0)
    """Also write a checkpoint every so many steps; 0: at the end of every epoch only."""

    @field_validator("precision", "weights", mode="before")
    @classmethod
    def _one_spelling(cls, value: Any) -> Any:
        try:
            return as_precision(str(value))
        except RobenchError as error:
            raise ValueError(str(error)) from error


def validate(document: dict[str, Any], origin: str) -> Recipe:
    """Return the recipe that ``document`` describes.

    Args:
        document: the merged YAML.
        origin: the recipe's name, for error messages.

    Raises:
        RobenchError: a field is missing, unknown or of the wrong type.
    """
    try:
        return Recipe.model_validate(document)
    except ValidationError as error:
        lines = [f"  {'.'.join(str(part) for part in one['loc'])}: {one['msg'].lower()}" for one in error.errors()]
        raise RobenchError(
            f"Recipe {origin} does not fit the schema:\n" + "\n".join(lines),
            hint="The fields are documented in robench.training.recipes.schema.",
        ) from error


def override(document: dict[str, Any], assignments: list[str]) -> dict[str, Any]:
    """Return a copy of ``document`` with ``key=value`` assignments applied (``optimiser.lr=0.05``).

    Values are read as YAML, so ``true``, ``0.1`` and ``[60, 80]`` mean what they look like.

    Raises:
        RobenchError: an assignment without ``=``, or a path that the recipe does not have.
    """
    import copy

    import yaml

    document = copy.deepcopy(document)
    for assignment in assignments:
        path, equals, text = assignment.partition("=")
        if not equals:
            raise RobenchError(f"'{assignment}' is not KEY=VALUE.", hint="For example `set='epochs=5'`.")
        *parents, last = path.strip().split(".")
        part = document
        for name in parents:
            if part.get(name) is None:
                part[name] = {}
            part = part[name]
            if not isinstance(part, dict):
                raise RobenchError(f"'{path}': '{name}' has no fields.")
        known = _fields(parents)
        if known is not None and last not in known:
            raise RobenchError(f"Recipes have no field '{path}'.", hint=did_you_mean(last, known))
        part[last] = yaml.safe_load(text)
    return document


_ONLY_WITH = {"milestones": ("step",), "gamma": ("step",), "final_lr": ("cosine", "cosine-epoch")}


def refuse_idle(recipe: Recipe, assignments: list[str]) -> None:
    """Refuse assignments to settings of another schedule, or of a crop that the recipe does not have.

    Raises:
        RobenchError: one has no effect.
    """
    for assignment in assignments:
        path = assignment.partition("=")[0].strip()
        schedules = _ONLY_WITH.get(path.removeprefix("optimiser.")) if path.startswith("optimiser.") else None
        cleared = path == "optimiser.milestones" and not recipe.optimiser.milestones
        if schedules is not None and recipe.optimiser.schedule not in schedules and not cleared:
            raise RobenchError(
                f"'{path}' has no effect with optimiser.schedule={recipe.optimiser.schedule}.",
                hint=f"Omit it, or use `set='optimiser.schedule={schedules[0]}'`.",
            )
        if path == "data.pad" and recipe.data.pad and recipe.data.resized_crop is not None:
            raise RobenchError(
                "'data.pad' has no effect with data.resized_crop, which takes its place.",
                hint="Omit it, or use `set='data.resized_crop=null'`.",
            )


def _fields(parents: list[str]) -> set[str] | None:
    """Names allowed below ``parents``; None where the method decides."""
    parts: dict[tuple[str, ...], type[_Part]] = {
        (): Recipe,
        ("data",): DataPart,
        ("optimiser",): OptimiserPart,
        ("before",): BeforePart,
    }
    part = parts.get(tuple(parents))
    return None if part is None else set(part.model_fields)
