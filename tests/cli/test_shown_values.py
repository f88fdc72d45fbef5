"""How values are written: fractions in percent, everything else in its own unit, the same everywhere."""

from __future__ import annotations

import pytest

from robench.catalogue import METRICS, row
from robench.results.labels import show
from robench.results.schema import Value


@pytest.mark.parametrize("name", METRICS)
def test_only_fractions_are_shown_in_percent(name: str) -> None:
    shown = {show(Value(value=0.25), f"{prefix}{name}") for prefix in ("", "clean_", "mean_", "mean_ood_")}
    assert shown == {"25.00" if row(name).unit == "fraction" else "0.250"}


def test_summaries_are_shown_in_their_unit() -> None:
    assert show(Value(value=0.25), "mt5d") == "0.250"
    for name in ("mce", "relative_mce", "mfr", "mfp", "ce_snow", "mean_error_noise", "robust_accuracy"):
        assert show(Value(value=0.25, low=0.2, high=0.3), name, interval=True) == "25.00 (20.00 to 30.00)"
