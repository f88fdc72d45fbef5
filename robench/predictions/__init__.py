"""Per-image predictions: their columns, their files, the record of a run, and its folder."""

from robench.predictions.notes import AttackCheck, BatchCheck, CellNotes, OutputCheck, Sample
from robench.predictions.records import Environment, ModelInfo, RunIdentity, RunRecord, SuiteInfo, Timing
from robench.predictions.run import RunFolder
from robench.predictions.table import Predictions

__all__ = [
    "AttackCheck",
    "BatchCheck",
    "CellNotes",
    "Environment",
    "ModelInfo",
    "OutputCheck",
    "Predictions",
    "RunFolder",
    "RunIdentity",
    "RunRecord",
    "Sample",
    "SuiteInfo",
    "Timing",
]
