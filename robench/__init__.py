"""robench: how an image classifier behaves when the world shifts, and whether it knows.

Nothing heavy is imported here; ``robench.evaluate`` and the rooms load on first use.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from robench._version import __version__
from robench.errors import RobenchError

if TYPE_CHECKING:
    from robench.api import evaluate

__all__ = ["RobenchError", "__version__", "evaluate"]


def __getattr__(name: str) -> Any:
    if name == "evaluate":
        from robench.api import evaluate

        return evaluate
    raise AttributeError(f"module 'robench' has no attribute '{name}'")
