"""Readers: from files, archives and arrays to uint8 images with labels. They know bytes, not protocols."""

from __future__ import annotations

from typing import TYPE_CHECKING

from robench.data.base import Geometry, Images
from robench.lazy import lazily

if TYPE_CHECKING:
    from robench.data.find import open_images

__all__ = ["Geometry", "Images", "open_images"]

# Late, so that the suites' protocol data can use Geometry without the readers.
__getattr__, __dir__ = lazily(__name__, {"open_images": "find"}, __all__)
