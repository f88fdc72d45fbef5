"""Models: specs, safe loading, preprocessing, and the architectures of the papers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from robench.lazy import lazily

if TYPE_CHECKING:
    from robench.models.base import Model, Preprocessing
    from robench.models.ensembles import ensemble
    from robench.models.presets import preset
    from robench.models.request import wrap
    from robench.models.specs import load_model
    from robench.models.zeroshot.custom import zero_shot

__all__ = ["Model", "Preprocessing", "ensemble", "load_model", "preset", "wrap", "zero_shot"]

_HOMES = {
    "Model": "base",
    "Preprocessing": "base",
    "ensemble": "ensembles",
    "load_model": "specs",
    "preset": "presets",
    "wrap": "request",
    "zero_shot": "zeroshot.custom",
}

__getattr__, __dir__ = lazily(__name__, _HOMES, __all__)
