"""Error, RMS calibration error and Brier score against severity side by side, as in Figure 7 of AugMix."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from robench.plots.common import or_debiased
from robench.plots.registry import Plot
from robench.plots.severity_curves import severity
from robench.results.schema import Result

if TYPE_CHECKING:
    from matplotlib.figure import Figure

TRIO = ("error", "rms_calibration_error", "brier")


def trio(results: Sequence[Result]) -> Figure:
    """Draw error, RMS calibration error and Brier score against severity, as Figure 7 of AugMix does.

    Where a result has no RMS error as published, being of a sample or of too few images, all are drawn in its debiased
    form, under its name.

    Raises:
        RobenchError: the results are of different protocols, or none has one of the metrics.
    """
    return severity(results, tuple(or_debiased(results, metric) for metric in TRIO))


PLOT = Plot("trio", "Error, RMS calibration error and Brier score against severity, as in Figure 7 of AugMix.", trio)
