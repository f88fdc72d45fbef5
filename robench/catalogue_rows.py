"""What a row of the catalogue says of a metric or summary value, and how its value is shown. Standard library only."""

from __future__ import annotations

import math
from dataclasses import KW_ONLY, dataclass
from decimal import Decimal
from typing import Literal

Family = Literal["error", "calibration", "likelihood", "ranking", "stability", "other"]

# unit of the stored value -> (unit that is shown, factor); any other unit is shown as it is stored
UNITS = {
    "fraction": ("%", 100.0),
    "ratio": ("%", 100.0),  # of the baseline's value
    "difference": ("points", 100.0),  # of two fractions
    "squared probability": ("", 1.0),
}


@dataclass(frozen=True)
class Row:
    """A metric or summary value: what it is called, its unit and direction, and how it is shown.

    Args:
        name: as in results and on the command line.
        title: in full, lower case as within a sentence; without the unit.
        unit: of the stored value: ``fraction``, ``ratio``, ``difference``, ``squared probability``, ``nats``,
            ``ranks``, or the name of any other unit.
        short: for the heads of narrow tables; "": the title.
        lower_is_better: None where neither end is good (a signed gap).
        decimals: that are shown, after multiplication by :attr:`factor`.
        range: smallest and largest stored value.
        share: whether it is a mean over images of values in [0, 1], so that at 0 or 1 its interval is binomial.
        source: paper or code that defines it.
        notes: what a reader should know before comparing it.

    >>> ece = Row("ece", "expected calibration error", short="ECE")
    >>> ece.show(0.12345, unit=True), ece.axis, ece.head
    ('12.35 %', 'expected calibration error, %', 'ECE, %')
    """

    name: str
    title: str
    unit: str = "fraction"
    _: KW_ONLY
    short: str = ""
    lower_is_better: bool | None = True
    decimals: int = 2
    range: tuple[float, float] = (0.0, 1.0)
    share: bool = False
    source: str = ""
    notes: str = ""

    @property
    def factor(self) -> float:
        """What a stored value is multiplied by before it is shown."""
        return UNITS.get(self.unit, ("", 1.0))[1]

    @property
    def shown_unit(self) -> str:
        """The unit as it is printed: ``%``, ``points``, ``nats``; "" where the range takes its place."""
        return UNITS.get(self.unit, (self.unit, 1.0))[0]

    @property
    def difference_unit(self) -> str:
        """The unit of a difference of two values as it is printed: ``points`` for percentages."""
        return "points" if self.shown_unit == "%" else self.shown_unit

    @property
    def better(self) -> str:
        """The direction in a word: ``lower``, ``higher`` or ``neither``."""
        return {True: "lower", False: "higher", None: "neither"}[self.lower_is_better]

    @property
    def axis(self) -> str:
        """Title and unit, as on an axis of a plot: ``error, %`` or ``Brier score (0 to 2)``."""
        return self._with_unit(self.title)

    @property
    def head(self) -> str:
        """Short title and unit, as at the head of a narrow table: ``ECE, %``."""
        return self._with_unit(self.short or self.title)

    def show(self, value: float, *, sign: bool = False, unit: bool = False, decimals: int | None = None) -> str:
        """Return a stored value as text, rounded once: ``12.34``, ``+12.34`` or ``12.34 %``.

        In floats, 100 times the share 0.10775 is 10.775, half a step above the 10.7749... that is stored.
        """
        exact = Decimal(float(value)) * Decimal(self.factor) if math.isfinite(value) else value
        text = f"{exact:{'+' if sign else ''}.{self.decimals if decimals is None else decimals}f}"
        return f"{text} {self.shown_unit}" if unit and self.shown_unit else text

    def _with_unit(self, text: str) -> str:
        low, high = self.range
        if self.shown_unit:
            return f"{text}, {self.shown_unit}"
        return f"{text} ({low:g} to {high:g})" if math.isfinite(high - low) else text


@dataclass(frozen=True)
class Metric(Row):
    """A metric of one cell, computed from its predictions.

    Args:
        needs: columns of the predictions that it is computed from.
        kernel: what computes it, ``"package.module:attribute"``: a kernel of :mod:`robench.metrics.weighted`, or any
            function from columns to a float (its intervals are then slow).
        family: what it is about; tables name an error first, then a calibration error.
        tasks: suites' tasks that it is defined for; ``variants`` are classification suites with several rows per
            image (worst of k).
        suites, datasets: names that it is defined for; None: all.
        minimum_images: with fewer images in a cell it is undefined (null with a note).
        headline_images: with fewer images in a cell it is not a headline value: shown under its name, not put first.
        sampled_images: with fewer images in a cell a sample does not estimate the full run's value (null with a note):
            the estimate's bias is larger than its spread.
        difference_spread: where cells hold the same images, standard errors of differences of two models are so many
            times those of the replicates.
        over_cells: how cells are averaged: ``mean``, or ``root mean square`` of values with their signs.
        default: whether a result carries it without being asked.
        detail: whether it stands in results and plots only, not in tables of summary values.
    """

    _: KW_ONLY
    needs: tuple[str, ...] = ()
    kernel: str = ""
    family: Family = "other"
    tasks: tuple[str, ...] = ("classification",)
    suites: tuple[str, ...] | None = None
    datasets: tuple[str, ...] | None = None
    minimum_images: int = 1
    headline_images: int = 1
    sampled_images: int = 1
    difference_spread: float = 1.0
    over_cells: Literal["mean", "root mean square"] = "mean"
    default: bool = False
    detail: bool = False


@dataclass(frozen=True)
class Summary(Row):
    """A summary value of a whole suite.

    Args:
        of: the metric that it is a mean or a difference of; None where it is of none alone.
        mean: whether it is the plain mean of that metric over the suite's conditions.
        main: whether comparisons have a sentence and leaderboards a column for it; the others stand in tables only.
    """

    _: KW_ONLY
    of: str | None = None
    mean: bool = False
    main: bool = True
