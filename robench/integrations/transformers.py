"""A callback of transformers' Trainer that measures a suite at the end of an epoch."""

from __future__ import annotations

from typing import Any

from robench.errors import RobenchError
from robench.integrations.measuring import Measuring

try:
    from transformers import TrainerCallback
except ImportError as error:
    raise RobenchError("This callback needs transformers.", hint="pip install transformers accelerate") from error


class SuiteTrainerCallback(Measuring, TrainerCallback):
    """Measures a suite at the end of an epoch, and adds its headline values to the Trainer's log history.

    The model takes ``pixel_values`` and returns an output with ``logits``, as transformers' image classifiers do.
    Of several ranks the first measures; the others go on to the next step and wait there.

    Args and attributes: see :class:`robench.integrations.measuring.Measuring`.
    """

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
