"""The library under every command: one function per file, with typed options and all checks.

``robench.evaluate``, ``compare``, ``calibrate``... are these. Importing them is quick: each function imports what it
needs when it is called.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from robench.api.about_models import KnownModels, ModelDescription, ReferenceModel, describe_model, list_models
from robench.api.about_recipes import RecipeRow, describe_recipe, list_recipes
from robench.api.about_suites import SuiteDescription, describe_suite, list_suites
from robench.api.affinity import Affinity, affinity
from robench.api.augmentations import augmentations
from robench.api.calibrate import Calibration, calibrate
from robench.api.compare import compare, comparison_table, failing
from robench.api.conformal import Conformal, conformal
from robench.api.data_sets import (
    DataFile,
    DataSet,
    OtherData,
    Verified,
    describe_data,
    dfr_manifest,
    download_data,
    list_data,
    list_other_data,
    verify_data,
)
from robench.api.decide import DecidedValue, Decision, decide
from robench.api.deepaugment import WrittenSet, deepaugment
from robench.api.evaluate import evaluate, plan
from robench.api.export import export
from robench.api.figure import DrawnFigure, figure
from robench.api.fourier import Sensitivity, fourier
from robench.api.gallery import gallery
from robench.api.gate import gate
from robench.api.gate_outcome import GateOutcome, GateValue, write_gate
from robench.api.generate import Generated, generate
from robench.api.grid import GridModel, Job, grid
from robench.api.metrics import LogitMetrics, metrics
from robench.api.ood import Detection, ood
from robench.api.operations import operations
from robench.api.options import ModelOptions, ReportOptions
from robench.api.own_table import own_table
from robench.api.quickstart import Quickstart, quickstart
from robench.api.rank import rank
from robench.api.report import report
from robench.api.table import table
from robench.api.train import Trained, train
from robench.api.train_set import SetModel, SetPlan, is_set, train_set

if TYPE_CHECKING:
    from robench.api.options import EngineOptions, SuiteOptions
    from robench.api.planning import Plan

__all__ = [
    "Affinity",
    "Calibration",
    "Conformal",
    "DataFile",
    "DataSet",
    "DecidedValue",
    "Decision",
    "Detection",
    "DrawnFigure",
    "EngineOptions",
    "GateOutcome",
    "GateValue",
    "Generated",
    "GridModel",
    "Job",
    "KnownModels",
    "LogitMetrics",
    "ModelDescription",
    "ModelOptions",
    "OtherData",
    "Plan",
    "Quickstart",
    "RecipeRow",
    "ReferenceModel",
    "ReportOptions",
    "Sensitivity",
    "SetModel",
    "SetPlan",
    "SuiteDescription",
    "SuiteOptions",
    "Trained",
    "Verified",
    "WrittenSet",
    "affinity",
    "augmentations",
    "calibrate",
    "compare",
    "comparison_table",
    "conformal",
    "decide",
    "deepaugment",
    "describe_data",
    "describe_model",
    "describe_recipe",
    "describe_suite",
    "dfr_manifest",
    "download_data",
    "evaluate",
    "export",
    "failing",
    "figure",
    "fourier",
    "gallery",
    "gate",
    "generate",
    "grid",
    "is_set",
    "list_data",
    "list_models",
    "list_other_data",
    "list_recipes",
    "list_suites",
    "metrics",
    "ood",
    "operations",
    "own_table",
    "plan",
    "quickstart",
    "rank",
    "report",
    "table",
    "train",
    "train_set",
    "verify_data",
    "write_gate",
]


def __getattr__(name: str) -> Any:
    if name in ("SuiteOptions", "EngineOptions"):
        from robench.api import options

        return getattr(options, name)
    if name == "Plan":
        from robench.api.planning import Plan

        return Plan
    raise AttributeError(f"module 'robench.api' has no attribute '{name}'")


def __dir__() -> list[str]:
    return list(__all__)
