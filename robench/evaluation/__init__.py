"""The engine: a model over a suite's cells, one file of predictions per cell; it knows nothing of metrics."""

from robench.evaluation.engine import Outcome, evaluate_suite
from robench.evaluation.options import EvaluationOptions
from robench.evaluation.plan import default_folder
from robench.evaluation.progress import Progress, make_progress

__all__ = ["EvaluationOptions", "Outcome", "Progress", "default_folder", "evaluate_suite", "make_progress"]
