"""Values of results as text, as the terminal shows them: ``12.34 (11.80 to 12.91)``, and what they are of."""

from __future__ import annotations

from robench.results.labels import ABSENT, show
from robench.results.used import normalisation, used

__all__ = ["ABSENT", "normalisation", "show", "used"]
