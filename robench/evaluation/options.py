"""How an evaluation is run: what changes predictions is in the run's identity, the rest is not."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

Precision = Literal["fp32", "bf16", "fp16"]


@dataclass(frozen=True)
class EvaluationOptions:
    """Options of the engine.

    Args:
        device: ``auto`` (CUDA, then MPS, then CPU) or a torch device name.
        precision: number format of the forward pass; part of the identity.
        batch_size: images at a time; None: 256 on the CPU, 512 elsewhere. Halved when memory runs out.
        logits: keep the logits: True, False, or None for "when there are at most 32 classes".
        compile: run the module through ``torch.compile``.
        fold: fold batch norms into the convolutions before them; changes predictions by float noise only.
    """

    device: str = "auto"
    precision: Precision = "fp32"
    batch_size: int | None = None
    logits: bool | None = None
    compile: bool = False
    fold: bool = False

    def keeps_logits(self, num_classes: int) -> bool:
        """Return whether the logits of a model with this many classes are kept."""
        return num_classes <= 32 if self.logits is None else self.logits

    def resolved_device(self) -> str:
        """Return the device that ``auto`` stands for here.

        Raises:
            RobenchError: the named device is not there, or there is no such kind.
        """
        import torch

        from robench.errors import RobenchError

        if self.device != "auto":
            if not re.fullmatch(r"(cpu|cuda|mps)(:\d+)?", self.device):
                raise RobenchError(f"Unknown device '{self.device}'.", hint="Known: auto, cpu, cuda, cuda:1, mps.")
            if not _is_there(self.device):
                kind = self.device.partition(":")[0].upper()
                raise RobenchError(
                    f"No {kind} device for --device {self.device}.", hint="Leave --device away to use what there is."
                )
            return self.device
        if torch.cuda.is_available():
            return "cuda"
        return "mps" if torch.backends.mps.is_available() else "cpu"

    def resolved_batch_size(self, device: str) -> int:
        """Return the batch size to begin with on this device."""
        return self.batch_size or (256 if device == "cpu" else 512)


def _is_there(device: str) -> bool:
    import torch

    kind, _, number = device.partition(":")
    if kind == "cuda":
        return torch.cuda.is_available() and int(number or 0) < torch.cuda.device_count()
    return kind != "mps" or torch.backends.mps.is_available()
