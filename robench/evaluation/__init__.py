"""The engine: a model over a suite's cells, one file of predictions per cell; it knows nothing of metrics."""

from __future__ import annotations

from typing import TYPE_CHECKING

from robench.lazy import lazily

if TYPE_CHECKING:
    from robench.evaluation.engine import Outcome, evaluate_suite
    from robench.evaluation.options import EvaluationOptions
    from robench.evaluation.plan import default_folder
    from robench.evaluation.progress import Progress, make_progress

__all__ = ["EvaluationOptions", "Outcome", "Progress", "default_folder", "evaluate_suite", "make_progress"]

_HOMES = {
    "EvaluationOptions": "options",
    "Outcome": "engine",
    "Progress": "progress",
    "default_folder": "plan",
    "evaluate_suite": "engine",
    "make_progress": "progress",
}

__getattr__, __dir__ = lazily(__name__, _HOMES, __all__)
