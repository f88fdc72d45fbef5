"""Coverage against severity: what stands at which severity."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from robench.catalogue import defaults
from robench.plots.coverage_curves import coverage, read_coverage
from robench.plots.outlier_rows import outliers, read_outliers


def known(coverage: float) -> dict[str, dict[str, float]]:
    return {"conformal_coverage": {"value": coverage}}


@pytest.mark.parametrize(
    ("cell", "cells", "first"),
    [
        ("clean", {"clean": 0.9}, 90.0),
        ("fog/1", {"fog/1": 0.8, "clean": 0.95}, 95.0),  # the cell of the fit has a severity: it is not the clean one
        ("fog/1", {"fog/1": 0.8}, np.nan),
        ("unshifted", {"unshifted": 0.9}, 90.0),
    ],
)
def test_clean_images_stand_at_clean(tmp_path: Path, cell: str, cells: dict[str, float], first: float) -> None:
    values = {name: known(coverage) for name, coverage in cells.items()} | {"severity/3": known(0.7)}
    document = {"kind": "robench-conformal", "model": "m", "method": "lac", "alpha": 0.1,
                "fitted_on": {"cell": cell}, "values": values}  # fmt: skip
    (tmp_path / "conformal.json").write_text(json.dumps(document))
    (curve,) = read_coverage(tmp_path / "conformal.json")
    np.testing.assert_allclose(curve.values["conformal_coverage"][[0, 3], 0], [first, 70.0])


@pytest.mark.parametrize("ends", [{}, {"low": 0.6, "high": 0.8}])
def test_only_intervals_that_are_drawn_are_named(tmp_path: Path, ends: dict[str, float]) -> None:
    value = {"value": 0.7, **ends}
    sets = {"kind": "robench-conformal", "model": "m", "method": "lac", "alpha": 0.1, "fitted_on": {"cell": "clean"},
            "values": {"severity/3": {"conformal_coverage": value}}}  # fmt: skip
    found = dict.fromkeys(defaults("ood"), value)
    foreign = {"kind": "robench-ood", "model": "m", "cell": "clean", "images": 9, "groups": {"far": found},
               "sets": {"svhn": {"group": "far", "values": found}}}  # fmt: skip
    for name, document in (("sets.json", sets), ("ood.json", foreign)):
        (tmp_path / name).write_text(json.dumps(document))
    for figure in (coverage([read_coverage(tmp_path / "sets.json")]), outliers([read_outliers(tmp_path / "ood.json")])):
        assert ("intervals" in " ".join(text.get_text() for text in figure.texts)) == bool(ends)
