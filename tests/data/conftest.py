"""Real images for the readers' tests: two photographs and the digits."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image


@pytest.fixture(scope="session")
def photos() -> list[np.ndarray]:
    """Twelve crops of differing sizes from scikit-learn's two photographs, uint8 (H, W, 3)."""
    from sklearn.datasets import load_sample_images

    large = load_sample_images().images
    return [
        np.ascontiguousarray(large[i % 2][10 * i : 10 * i + 280 + 5 * i, 15 * i : 15 * i + 400 - 9 * i])
        for i in range(12)
    ]


def to_jpeg(image: np.ndarray, quality: int = 90) -> bytes:
    """Return an image as JPEG bytes."""
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "JPEG", quality=quality)
    return buffer.getvalue()


@pytest.fixture(scope="session")
def jpegs(photos: list[np.ndarray]) -> list[bytes]:
    """The photographs as JPEG files."""
    return [to_jpeg(photo) for photo in photos]
