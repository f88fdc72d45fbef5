"""What the loop asks of a training method, and what it hands to it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import MISSING, dataclass, fields
from typing import TYPE_CHECKING, Any, ClassVar, Self

import torch
from torch import nn
from torch.nn import functional

from robench.errors import RobenchError, did_you_mean

if TYPE_CHECKING:
    from pathlib import Path

    from robench.corruptions.random import Stream
    from robench.training.recipe import DataPart


@dataclass
class Batch:
    """The images of one step, and the source of all randomness that belongs to them.

    Args:
        images: uint8 (n, 3, H, W) as they were read.
        labels: int64 (n,); -1 where there are none.
        index: int64 (n,), the images' numbers in the training set: what is drawn for an image depends on the
            seed, the epoch and this number, never on its neighbours in the batch.
        data: the recipe's data part (flip, padding).
        seed, epoch: of the run.
    """

    images: torch.Tensor
    labels: torch.Tensor
    index: torch.Tensor
    data: DataPart
    seed: int
    epoch: int

    def stream(self, label: str) -> Stream:
        """Return the random stream of one purpose; different labels are independent."""
        from robench.corruptions.random import Stream

        device = self.images.device
        return Stream(self.seed, "train", label, self.epoch, index=self.index, device=device)

    def view(self, label: str = "view") -> torch.Tensor:
        """Return the images flipped and cropped as the recipe says: uint8 (n, 3, size, size)."""
        from robench.training.pixels import flip_and_crop

        return flip_and_crop(self.images, self.stream(label), flip=self.data.flip, pad=self.data.pad)


class Network:
    """The module in training, with its normalisation: what a method calls.

    Args:
        module: the architecture, taking normalised float images.
        mean, std: per channel, for images in [0, 1].
        autocast: type of the mixed precision, or None.
    """

    def __init__(
        self,
        module: nn.Module,
        mean: tuple[float, ...],
        std: tuple[float, ...],
        device: torch.device,
        autocast: torch.dtype | None = None,
    ) -> None:
        self.module = module
        self.device = device
        self._autocast = autocast
        self._mean = torch.tensor(mean, device=device).view(1, -1, 1, 1)
        self._std = torch.tensor(std, device=device).view(1, -1, 1, 1)

    def normalise(self, pixels: torch.Tensor) -> torch.Tensor:
        """Return pixels (uint8, or float in [0, 1]) as the module's float32 input, channels last."""
        if pixels.dtype == torch.uint8:
            pixels = pixels.float().div_(255.0)
        normal = (pixels - self._mean) / self._std
        return normal.contiguous(memory_format=torch.channels_last)

    def __call__(self, pixels: torch.Tensor, route: str | None = None) -> torch.Tensor:
        """Return float32 logits of uint8 pixels, or of float pixels in [0, 1]."""
        return self.raw(self.normalise(pixels), route)

    def raw(self, inputs: torch.Tensor, route: str | None = None) -> torch.Tensor:
        """Return float32 logits of inputs that are normalised already."""
        if route is None:
            return self._forward(inputs)
        from robench.models.architectures import routed

        with routed(self.module, route):
            return self._forward(inputs)

    def _forward(self, inputs: torch.Tensor) -> torch.Tensor:
        if self._autocast is None:
            return self.module(inputs)
        with torch.autocast(self.device.type, dtype=self._autocast):
            return self.module(inputs).float()

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """Evaluation mode and no parameter gradients within: for attacks on the input."""
        was_training = self.module.training
        wanted = [p for p in self.module.parameters() if p.requires_grad]
        self.module.eval()
        for parameter in wanted:
            parameter.requires_grad_(False)
        try:
            yield
        finally:
            for parameter in wanted:
                parameter.requires_grad_(True)
            self.module.train(was_training)


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


@dataclass
class Method:
    """One way of training. Subclasses are dataclasses: their fields are the recipe's ``options``."""

    NORMS: ClassVar[tuple[str, ...]] = ("bn", "dubn", "dubin", "splitbn", "splitbn-shared")
    """Normalisations this method can train."""
    TEST_ROUTE: ClassVar[str | None] = None
    """Route through dual normalisation with which the finished model is tested."""
    NEEDS_VALIDATION: ClassVar[bool] = False

    @classmethod
    def from_options(cls, options: Mapping[str, Any]) -> Self:
        """Return the method with the given options.

        Raises:
            RobenchError: an option is unknown, missing, or of the wrong kind.
        """
        known = {field.name: field for field in fields(cls) if field.init}
        for name, value in options.items():
            if name not in known:
                raise RobenchError(f"Method {cls.__name__} has no option '{name}'.", hint=did_you_mean(name, known))
            _check_kind(cls.__name__, name, value, str(known[name].type))
        for name, field in known.items():
            if name not in options and field.default is MISSING and field.default_factory is MISSING:
                raise RobenchError(f"Method {cls.__name__} needs the option '{name}'.")
        return cls(**options)

    def build(self) -> nn.Module | None:
        """Return the method's own network, or None where the recipe's architecture is trained."""
        return None

    def locate(self, folders: Mapping[str, Path]) -> None:
        """Learn where the models lie that the options mention by their recipe's name (DeepAugment's networks)."""

    def begin(self, images: torch.Tensor | None, seed: int) -> None:
        """See all training images before the first step, uint8 (N, 3, H, W) by number; None: not in memory."""

    def loss(self, net: Network, batch: Batch) -> Step:
        """Return the loss of one batch. The module is in training mode."""
        raise NotImplementedError

    def end_epoch(self, net: Network, held_out: Batch | None) -> dict[str, float]:
        """Look at the held-out images after an epoch (AutoLabel); the returned figures are logged."""
        return {}

    def state(self) -> dict[str, Any]:
        """Return what must survive a restart besides the weights (tensors and plain values)."""
        return {}

    def load_state(self, state: dict[str, Any]) -> None:
        """Take back what ``state`` returned."""


def cross_entropy(logits: torch.Tensor, targets: torch.Tensor, smoothing: float = 0.0) -> torch.Tensor:
    """Return the mean cross-entropy of logits (n, K) with int64 labels (n,) or probabilities (n, K), nats."""
    return functional.cross_entropy(logits, targets, label_smoothing=smoothing)


def create(name: str, options: Mapping[str, Any]) -> Method:
    """Return the method ``name`` with its options.

    Raises:
        RobenchError: no such method, or the options do not fit it.
    """
    from robench.training.methods import METHODS

    method: type[Method] = METHODS.get(name)
    return method.from_options(options)


_KINDS: dict[str, tuple[type, ...]] = {"int": (int,), "float": (int, float), "bool": (bool,), "str": (str,)}


def _check_kind(method: str, option: str, value: Any, annotation: str) -> None:
    kinds = _KINDS.get(annotation)
    if kinds is None:
        return
    wrong = not isinstance(value, kinds) or (isinstance(value, bool) and annotation != "bool")
    if wrong:
        raise RobenchError(f"Option '{option}' of {method} must be {annotation}, found {value!r}.")
