"""Per-image predictions: their columns, their files, and the folder of a run."""

from robench.predictions.run import RunFolder, RunRecord
from robench.predictions.table import Predictions

__all__ = ["Predictions", "RunFolder", "RunRecord"]
