"""Parts for other libraries: metrics as torchmetrics has them, callbacks for Lightning and for transformers' Trainer.

Each file imports its library; nothing else in robench imports this package.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from robench.lazy import lazily

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

__getattr__, __dir__ = lazily(__name__, _HOMES, __all__)
