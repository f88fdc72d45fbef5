"""A callback of transformers' Trainer that measures a suite at the end of an epoch."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from robench.errors import RobenchError
from robench.integrations.measuring import Measurement

try:
    from transformers import TrainerCallback
except ImportError as error:
    raise RobenchError("This callback needs transformers.", hint="pip install transformers accelerate") from error

if TYPE_CHECKING:
    from robench.results import Result


class SuiteTrainerCallback(TrainerCallback):
    """Measures a suite at the end of an epoch, and adds its headline values to the Trainer's log history.

    The model takes ``pixel_values`` and returns an output with ``logits``, as transformers' image classifiers do.
    Of several ranks the first measures; the others go on to the next step and wait there.

    Args:
        suite: a suite's name, such as ``cifar10-c``.
        data: its files, or the clean images it is generated from.
        every: measure after every so many epochs.
        num_classes, mean, std, out: see :class:`robench.integrations.measuring.Measurement`.
        words: keywords of :func:`robench.evaluate`; ``within=1.0`` takes a few percent of the forward passes.

    Attributes:
        results: of every epoch measured, in order.
    """

    def __init__(
        self,
        suite: str,
        data: str | Path | None = None,
        *,
        every: int = 1,
        num_classes: int | None = None,
        mean: Any = None,
        std: Any = None,
        out: str | Path | None = None,
        **words: Any,
    ) -> None:
        self.measurement = Measurement(suite, data, every, num_classes, mean, std, out, words)
        self.results: list[Result] = []

    def on_epoch_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Measure, and write into ``state.log_history``."""
        epoch = max(round(state.epoch or 1) - 1, 0)
        model = kwargs.get("model")
        if model is None or not state.is_world_process_zero or not self.measurement.due(epoch):
            return
        result = self.measurement.measure(
            model, lambda images: model(pixel_values=images).logits, epoch, next(model.parameters()).device
        )
        self.results.append(result)
        state.log_history.append({"epoch": state.epoch, "step": state.global_step} | self.measurement.values(result))
