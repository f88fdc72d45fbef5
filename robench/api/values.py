"""Values of results as text, as the terminal shows them: ``12.34 (11.80 to 12.91)``."""

from __future__ import annotations

from robench.results.labels import ABSENT, show

__all__ = ["ABSENT", "show"]
