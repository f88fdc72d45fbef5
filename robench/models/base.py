"""A model: a module on float images, with the preprocessing that it was trained with."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from robench.data.base import Geometry

if TYPE_CHECKING:
    from collections.abc import Callable

    import torch


@dataclass(frozen=True)
class Preprocessing:
    """How uint8 images become the module's input.

    Args:
        mean, std: per channel, in units of images scaled to [0, 1].
        geometry: the resize and crop that the model was made for; None: the suite's own.
        input_size: (height, width) that the module needs; images of another size are refused.
        origin: where it came from: ``option``, ``card``, ``checkpoint``, ``config.json``, ``file``, ``timm``,
            ``torchvision``, ``transformers``, ``ensemble``; ``default``: nobody said anything, and pixels are only
            scaled to [0, 1].
    """

    mean: tuple[float, float, float] = (0.0, 0.0, 0.0)
    std: tuple[float, float, float] = (1.0, 1.0, 1.0)
    geometry: Geometry | None = None
    input_size: tuple[int, int] | None = None
    origin: str = "default"

    def record(self) -> dict[str, Any]:
        """Return the fields as a JSON-able document."""
        return asdict(self)


@dataclass(frozen=True)
class Model:
    """A classifier that can be evaluated; `dataclasses.replace` returns a changed copy.

    Args:
        name: what tables call it.
        module: callable from float32 images (n, 3, H, W), normalised, to logits (n, K).
        num_classes: K.
        preprocessing: applied to uint8 images before the module.
        hash: SHA-256 over architecture name and weights, of the file, or of all that a Python object computes with.
        card: what is known about it (spec, architecture, training), as stored in the result.
        classes: names of the K classes in the order of the logits; None: not known.
        batch_size: images per batch that its answers are of, where they depend on the batch (``?bn=batch``); None: any.
        identity_proven: whether two models of this hash compute the same. If not, the hash alone must not let
            earlier predictions be reused (see :mod:`robench.models.identity`); the card says why.
    """

    name: str
    module: Callable[[torch.Tensor], torch.Tensor]
    num_classes: int
    preprocessing: Preprocessing
    hash: str
    card: dict[str, Any] = field(default_factory=dict)
    classes: tuple[str, ...] | None = None
    identity_proven: bool = True
    batch_size: int | None = None

    def record(self) -> dict[str, Any]:
        """Return what a result stores about the model."""
        return {
            "name": self.name,
            "hash": self.hash,
            "num_classes": self.num_classes,
            "preprocessing": self.preprocessing.record(),
            "card": self.card,
        }
