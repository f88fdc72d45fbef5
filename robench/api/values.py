"""Values of results as text, as the terminal shows them: ``12.34 (11.80 to 12.91)``, and what they are of."""

from __future__ import annotations

from robench.results.labels import ABSENT, amount_words, image_words, show
from robench.results.used import normalisation, used

__all__ = ["ABSENT", "amount_words", "image_words", "normalisation", "show", "used"]
