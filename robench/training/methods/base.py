"""What the training loop asks of a method: a loss for every batch, and a few optional hooks."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import MISSING, dataclass, fields
from typing import TYPE_CHECKING, Any, ClassVar, Self

import torch
from torch import nn

from robench.errors import RobenchError, did_you_mean
from robench.training.ops.losses import cross_entropy

if TYPE_CHECKING:
    from pathlib import Path

    from robench.training.engine.batch import Batch
    from robench.training.engine.network import Network


@dataclass
class Step:
    """What a method returns for a batch.

    Args:
        loss: scalar, the mean over the batch.
        logits: (n, K) of the view whose accuracy is logged, or None where there is nothing to classify.
        labels: (n,) that go with the logits.
    """

    loss: torch.Tensor
    logits: torch.Tensor | None = None
    labels: torch.Tensor | None = None


@dataclass(frozen=True)
class Preparation:
    """What a method may use before the first step.

    Args:
        folder: whose files stay until the run is finished, for what takes long to make; None: there is none.
        quiet: no progress.
        autocast: type of the run's mixed precision; None: float32.
    """

    folder: Path | None = None
    quiet: bool = True
    autocast: torch.dtype | None = None

    def progress(self, title: str, images: int) -> Callable[[int], None]:
        """Return a function that is called with the number of images that are done: first at the beginning."""
        from robench.training.engine.logs import Progress

        begun: list[tuple[Progress, int]] = []

        def show(done: int) -> None:
            if begun:
                progress, first = begun[0]
                progress.show(done, done - first, "")
            else:
                begun.append((Progress(title, images, done, self.quiet, "images"), done))

        return show


UNPREPARED = Preparation()


@dataclass
class Method:
    """One way of training. Subclasses are dataclasses: their fields are the recipe's ``options``."""

    NORMS: ClassVar[tuple[str, ...]] = ("bn", "ibn")
    """Normalisations that this method can train; a dual one needs a method that uses both of its routes."""
    TEST_ROUTE: ClassVar[str | None] = None
    """Route through dual normalisation with which the finished model is tested."""
    NEEDS_VALIDATION: ClassVar[bool] = False
    RANGES: ClassVar[Mapping[str, tuple[float, float]]] = {}
    """Least and greatest value of options that are numbers, or lists of numbers; the ends are allowed."""

    @classmethod
    def from_options(cls, options: Mapping[str, Any]) -> Self:
        """Return the method with the given options.

        Raises:
            RobenchError: an option is unknown, missing, of the wrong type, or out of its range.
        """
        known = {field.name: field for field in fields(cls) if field.init}
        for name, value in options.items():
            if name not in known:
                raise RobenchError(f"Method {cls.__name__} has no option '{name}'.", hint=did_you_mean(name, known))
            _check_kind(cls.__name__, name, value, str(known[name].type))
            if name in cls.RANGES:
                _check_range(cls.__name__, name, value, *cls.RANGES[name])
        for name, field in known.items():
            if name not in options and field.default is MISSING and field.default_factory is MISSING:
                raise RobenchError(f"Method {cls.__name__} needs the option '{name}'.")
        return cls(**options)

    @property
    def norms(self) -> tuple[str, ...]:
        """Normalisations that this method can train with its options."""
        return self.NORMS

    @property
    def passes(self) -> float:
        """Forward and backward passes per image and step, those of attacks included; standard training has 1.

        A forward pass alone counts as a third. The most there can be: an attack may stop early. Passes over held-out
        images and through other networks (DeepAugment, Noise2Net) are not counted.
        """
        return 1.0

    @property
    def passes_taken(self) -> float:
        """``passes`` as the training has taken them so far: fewer where an attack stopped early."""
        return self.passes

    def build(self) -> nn.Module | None:
        """Return the method's own network, or None where the recipe's architecture is trained."""
        return None

    def locate(self, folders: Mapping[str, Path]) -> None:
        """Receive the folders of the models that the options mention by recipe name (DeepAugment's networks)."""

    def begin(self, images: torch.Tensor | None, seed: int, work: Preparation = UNPREPARED) -> None:
        """See all training images before the first step, uint8 (N, 3, H, W) by number; None: not in memory.

        Args:
            images: the images.
            seed: of the run.
            work: where what takes long may be kept until the run is finished, and how far it is be shown.
        """

    def loss(self, net: Network, batch: Batch) -> Step:
        """Return the loss of one batch. The network is in training mode."""
        raise NotImplementedError

    def end_epoch(self, net: Network, held_out: Batch | None) -> dict[str, Any]:
        """Look at the held-out images after an epoch (AutoLabel); what is returned is logged.

        Numbers go to ``log.csv`` and ``log.jsonl``, anything else that JSON knows to ``log.jsonl`` alone.
        """
        return {}

    def labelled_view(self, net: Network, batch: Batch) -> torch.Tensor:
        """Return the view of every image that the finished model's branch was trained on, for its affinity.

        Args:
            net: the model that is measured; attacks aim at it.
            batch: the images.

        Returns:
            uint8, or float32 in [0, 1], (n, 3, size, size).

        Raises:
            RobenchError: the method trains on no single view of an image.
        """
        raise RobenchError(
            f"Method {type(self).__name__} trains on no single augmented view of an image.",
            hint="Affinity is defined for views with the image's own label, such as cutout or randaugment.",
        )

    def state(self) -> dict[str, Any]:
        """Return what must survive a restart besides the weights (tensors and plain values)."""
        return {}

    def load_state(self, state: dict[str, Any]) -> None:
        """Restore what ``state`` returned."""


@dataclass
class OneView(Method):
    """A method whose loss is the cross-entropy of one augmented view of every image.

    Subclasses define ``view``. Such a method can also come before another one (a recipe's ``before``), which then
    augments the images that this one made.
    """

    LOSS_OPTIONS: ClassVar[tuple[str, ...]] = ()
    """Options of its own loss, without effect before another method."""

    def view(self, batch: Batch) -> torch.Tensor:
        """Return the augmented images: uint8, or float32 in [0, 1], (n, 3, size, size)."""
        raise NotImplementedError

    def shown(self, batch: Batch) -> Batch:
        """Return the batch with the augmented images in place of its own, rounded to uint8, for another method."""
        images = self.view(batch)
        if images.dtype != torch.uint8:
            images = (images * 255.0).round().to(torch.uint8)
        return batch.showing(images)

    def labelled_view(self, net: Network, batch: Batch) -> torch.Tensor:
        """See ``Method.labelled_view``."""
        return self.view(batch)

    def loss(self, net: Network, batch: Batch) -> Step:
        logits = net(self.view(batch))
        return Step(cross_entropy(logits, batch.labels), logits, batch.labels)


ABOVE_0 = 5e-324
"""The least number above 0, as the end of a range that does not hold 0."""
SHARE = (0.0, 1.0)
NOT_NEGATIVE = (0.0, math.inf)
POSITIVE = (ABOVE_0, math.inf)
RADIUS = (ABOVE_0, 1.0)
"""Of an attack, in units of [0, 1]."""
AT_LEAST_1 = (1.0, math.inf)
GREY = (0.0, 255.0)
LEVEL = (0.1, 10.0)
"""AugMix's severity: levels are drawn from 0.1 to it, and end at 10."""

_KINDS: dict[str, tuple[type, ...]] = {"int": (int,), "float": (int, float), "bool": (bool,), "str": (str,)}


def _check_kind(method: str, option: str, value: Any, annotation: str) -> None:
    if annotation.startswith("list["):
        if not isinstance(value, list) or not value:
            raise RobenchError(
                f"Option '{option}' of {method} must be a list of one or more, found {value!r}.",
                hint=None if value == [] else f"Use `set='options.{option}=[{value}]'`.",
            )
        for one in value:
            _check_kind(method, option, one, annotation[5:-1])
        return
    kinds = _KINDS.get(annotation)
    if kinds is None:
        return
    wrong = not isinstance(value, kinds) or (isinstance(value, bool) and annotation != "bool")
    if wrong:
        raise RobenchError(f"Option '{option}' of {method} must be {annotation}, found {value!r}.")


def _check_range(method: str, option: str, value: Any, low: float, high: float) -> None:
    for number in value if isinstance(value, list) else [value]:
        if low <= number <= high:
            continue
        said = [("above 0" if low == ABOVE_0 else f"{low:g} or more") if high == math.inf else f"{low:g} to {high:g}"]
        said = ["above 0 and at most 1"] if (low, high) == RADIUS else said
        raise RobenchError(
            f"Option '{option}' of {method} must be {said[0]}, found {number!r}.",
            hint="It is in units of [0, 1], in which 8/255 is 0.031373." if (low, high) == RADIUS else None,
        )
