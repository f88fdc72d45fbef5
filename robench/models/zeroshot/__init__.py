"""Zero-shot classifiers: an image encoder, and class names as a text encoder sees them.

``texts`` reads prompts and class names, ``towers`` says what a family of models gives, ``open_clip`` and ``snapshots``
load the families, ``features`` computes and keeps the text features, ``classifier`` joins them to a model.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from robench.models.zeroshot.custom import zero_shot

__all__ = ["zero_shot"]


def __getattr__(name: str) -> Any:
    if name == "zero_shot":
        from robench.models.zeroshot.custom import zero_shot

        return zero_shot
    raise AttributeError(f"module 'robench.models.zeroshot' has no attribute '{name}'")


def __dir__() -> list[str]:
    return list(__all__)
