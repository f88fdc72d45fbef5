"""Parts for other libraries: metrics as torchmetrics has them, callbacks for Lightning and for transformers' Trainer.

Each file imports its library; nothing else in robench imports this room.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from robench.integrations.lightning import SuiteCallback
    from robench.integrations.torchmetrics import ConfidenceMetric, confidence_metrics
    from robench.integrations.transformers import SuiteTrainerCallback

__all__ = ["ConfidenceMetric", "SuiteCallback", "SuiteTrainerCallback", "confidence_metrics"]

_HOMES = {
    "ConfidenceMetric": "torchmetrics",
    "confidence_metrics": "torchmetrics",
    "SuiteCallback": "lightning",
    "SuiteTrainerCallback": "transformers",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'robench.integrations' has no attribute '{name}'")
    return getattr(import_module(f"robench.integrations.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return list(__all__)
