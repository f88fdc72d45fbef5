"""Readers: from files, archives and arrays to uint8 images with labels. They know bytes, not protocols."""

from __future__ import annotations

from typing import Any

from robench.data.base import Geometry, Images

__all__ = ["Geometry", "Images", "open_images"]


def __getattr__(name: str) -> Any:
    # Late, so that the suites' protocol data can use Geometry without the readers.
    if name == "open_images":
        from robench.data.find import open_images

        return open_images
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return list(__all__)
