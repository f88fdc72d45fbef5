"""robench: robustness and calibration of image classifiers, by the published protocols.

Nothing heavy is imported here; functions and subpackages load on first use.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from robench._version import __version__
from robench.errors import RobenchError

if TYPE_CHECKING:
    from robench.api.affinity import affinity
    from robench.api.calibrate import calibrate
    from robench.api.compare import compare
    from robench.api.conformal import conformal
    from robench.api.decide import decide
    from robench.api.evaluate import evaluate, plan
    from robench.api.export import export
    from robench.api.figure import figure
    from robench.api.fourier import fourier
    from robench.api.gallery import gallery
    from robench.api.gate import gate
    from robench.api.grid import grid
    from robench.api.ood import ood
    from robench.api.quickstart import quickstart
    from robench.api.rank import rank
    from robench.api.report import report
    from robench.api.table import table
    from robench.api.train import train
    from robench.api.train_set import train_set
    from robench.results import load

_FUNCTIONS = {
    "affinity": "robench.api",
    "calibrate": "robench.api",
    "compare": "robench.api",
    "conformal": "robench.api",
    "decide": "robench.api",
    "evaluate": "robench.api",
    "export": "robench.api",
    "figure": "robench.api",
    "fourier": "robench.api",
    "gallery": "robench.api",
    "gate": "robench.api",
    "grid": "robench.api",
    "load": "robench.results",
    "ood": "robench.api",
    "plan": "robench.api",
    "quickstart": "robench.api",
    "rank": "robench.api",
    "report": "robench.api",
    "table": "robench.api",
    "train": "robench.api",
    "train_set": "robench.api",
}
_ROOMS = (
    "api",
    "catalogue",
    "corruptions",
    "data",
    "evaluation",
    "integrations",
    "metrics",
    "models",
    "plots",
    "predictions",
    "results",
    "suites",
    "tables",
    "training",
)

__all__ = [
    "RobenchError",
    "__version__",
    "affinity",
    "calibrate",
    "compare",
    "conformal",
    "decide",
    "evaluate",
    "export",
    "figure",
    "fourier",
    "gallery",
    "gate",
    "grid",
    "load",
    "ood",
    "plan",
    "quickstart",
    "rank",
    "report",
    "table",
    "train",
    "train_set",
]


def __getattr__(name: str) -> Any:
    if name in _FUNCTIONS:
        return getattr(import_module(_FUNCTIONS[name]), name)
    if name in _ROOMS:
        return import_module(f"robench.{name}")
    raise AttributeError(f"module 'robench' has no attribute '{name}'")


def __dir__() -> list[str]:
    return sorted([*__all__, *_ROOMS])
