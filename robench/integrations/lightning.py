"""A Lightning callback that measures a suite at the end of an epoch."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import torch

from robench.errors import RobenchError
from robench.integrations.measuring import Measuring


def _base() -> Any:
    """Return Lightning's class of callbacks, of whichever of its two packages is installed."""
    for name in ("lightning.pytorch", "pytorch_lightning"):
        try:
            return import_module(name).Callback
        except ImportError:
            continue
    raise RobenchError("This callback needs Lightning.", hint="pip install lightning")


_Callback: Any = _base()


class SuiteCallback(Measuring, _Callback):
    """Measures a suite after an epoch (its validation, where it has one), and logs its headlines as ``SUITE/NAME``.

    The module's ``forward`` takes normalised images (n, 3, H, W) and returns logits. Of several ranks the first
    measures and the others wait.

    Args and attributes: see :class:`robench.integrations.measuring.Measuring`.
    """

    def on_validation_epoch_end(self, trainer: Any, pl_module: Any) -> None:
        """Measure, unless this is Lightning's check before the training."""
        if not trainer.sanity_checking:
            self._measure(trainer, pl_module)

    def on_train_epoch_end(self, trainer: Any, pl_module: Any) -> None:
        """Measure where nothing is validated."""
        if not trainer.enable_validation:
            self._measure(trainer, pl_module)

    def _measure(self, trainer: Any, pl_module: Any) -> None:
        if not self.measurement.due(trainer.current_epoch):
            return
        if trainer.is_global_zero:
            result = self.measurement.measure(
                pl_module, lambda images: pl_module(images), trainer.current_epoch, pl_module.device
            )
            self.results.append(result)
            values = {
                name: torch.tensor(value, dtype=torch.float32, device=pl_module.device)
                for name, value in self.measurement.values(result).items()
            }
            pl_module.log_dict(values, on_epoch=True, batch_size=1, rank_zero_only=True)
        trainer.strategy.barrier("robench")
