"""How an evaluation is run; options that change predictions are part of the run's identity, the others are not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from robench.errors import RobenchError
from robench.models.base import Model
from robench.processes import Precision, resolve_device

if TYPE_CHECKING:
    from robench.suites.base import Suite


@dataclass(frozen=True)
class EvaluationOptions:
    """Options of the engine.

    Args:
        device: ``auto`` (CUDA, then MPS, then CPU) or a torch device name.
        precision: number format of the forward pass; part of the identity.
        batch_size: images per batch; None: 256 on the CPU, 512 elsewhere. Halved when memory runs out.
        keep_logits: keep the logits: True, False, or None for "when there are at most 32 classes".
        compile: run the module through ``torch.compile``.
        fold: fold batch norms into the preceding convolutions; changes predictions at rounding level only.
        surrogate: model on which a suite of attacks finds black-box images, to see whether gradients are masked.
    """

    device: str = "auto"
    precision: Precision = "fp32"
    batch_size: int | None = None
    keep_logits: bool | None = None
    compile: bool = False
    fold: bool = False
    surrogate: Model | None = None

    def keeps_logits(self, num_classes: int) -> bool:
        """Return whether the logits of a model with this many classes are kept."""
        return num_classes <= 32 if self.keep_logits is None else self.keep_logits

    def resolved_device(self) -> str:
        """Return the device to use on this machine.

        Raises:
            RobenchError: the named device is not there, or there is no such kind.
        """
        return resolve_device(self.device)

    def resolved_batch_size(self, device: str, model: Model) -> int:
        """Return the initial batch size on this device: the model's own where its answers depend on it.

        Raises:
            RobenchError: another one was asked for than the model's.
        """
        if model.batch_size is None:
            return self.batch_size or (256 if device == "cpu" else 512)
        if self.batch_size not in (None, model.batch_size):
            raise RobenchError(
                f"{model.name} takes the statistics of batches of {model.batch_size}; `batch_size={self.batch_size}`"
                " would make it another model.",
                hint=f"Omit `batch_size`, or choose it in the spec: ?bn=batch&batch={self.batch_size}.",
            )
        return model.batch_size


def kept_logits(suite: Suite) -> int:
    """Return how many logits of an image a run would keep: those of the classes that answers are among.

    >>> from robench.suites import get
    >>> [kept_logits(get(name)) for name in ("cifar10-c", "imagenet-c", "imagenet-r", "laion-c")]
    [10, 1000, 200, 16]
    """
    from robench.suites import subset_indices
    from robench.suites.superclasses import SUPERCLASSES

    if suite.superclasses:
        return len(SUPERCLASSES[suite.superclasses])
    return len(subset_indices(suite.subset)) if suite.subset else suite.num_classes
