"""An option fills in one part of the geometry; the rest stays the model's, or by default the suite's."""

from __future__ import annotations

from typing import Any

import pytest

from robench.api.packing import Sizes
from robench.data import Geometry
from robench.errors import RobenchError

OWN = Geometry(248, 224, "bicubic")


@pytest.mark.parametrize(
    ("sizes", "interpolation", "expected"),
    [
        (Sizes(), None, None),
        (Sizes(), "nearest", Geometry(248, 224, "nearest")),
        (Sizes(resize=256), None, Geometry(256, 224, "bicubic")),
        (Sizes(crop=200), None, Geometry(248, 200, "bicubic")),
        (Sizes(256, 240), "bilinear", Geometry(256, 240, "bilinear")),
    ],
)
def test_the_rest_stays_the_models(sizes: Sizes, interpolation: Any, expected: Geometry | None) -> None:
    assert sizes.over(interpolation, None, OWN, Geometry(256, 224)) == expected


def test_without_a_models_own_it_is_the_suites() -> None:
    assert Sizes(crop=200).over(None, None, None, Geometry(256, 224)) == Geometry(256, 200)
    assert Sizes(resize=64).over(None, None, None, Geometry()) == Geometry(resize=64)


@pytest.mark.parametrize(
    ("sizes", "said"),
    [
        (Sizes(resize=64), r"own crop of 224 pixels.*\n.*`crop=64`"),
        (Sizes(crop=300), r"own resize of 248 pixels.*\n.*`resize=300`"),
    ],
)
def test_a_crop_beyond_the_image_is_refused_with_what_to_add(sizes: Sizes, said: str) -> None:
    with pytest.raises(RobenchError, match=said):
        sizes.over(None, OWN)
