"""Zero-shot classifiers: an image encoder, and class names as a text encoder sees them.

``texts`` reads prompts and class names, ``towers`` says what a family of models gives, ``open_clip`` and ``snapshots``
load the families, ``features`` computes and keeps the text features, ``classifier`` joins them to a model.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from robench.lazy import lazily

if TYPE_CHECKING:
    from robench.models.zeroshot.custom import zero_shot

__all__ = ["zero_shot"]

__getattr__, __dir__ = lazily(__name__, {"zero_shot": "custom"}, __all__)
