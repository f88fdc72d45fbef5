"""Two models on the same growing sample, look by look, until a decision stands or the budget is spent.

A run holds more images than a look where it was measured before; a look takes only the first draws of each cell. So
what is decided depends on the predictions and the options alone: a run that was stopped, or is repeated, decides the
same, and measures nothing twice.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from robench.api.compared import Baseline, Budget, Measured
from robench.api.within import passes
from robench.errors import RobenchError

if TYPE_CHECKING:
    from robench.metrics.sequential import Boundary
    from robench.results.deciding import Chosen, Loss

_FRACTIONS = (0.25, 0.5, 0.75, 1.0)  # of the planned information, at which there is a look
_LATER = 1.5  # growth of the information between looks beyond the plan
_SOONEST = 1.2  # least growth of the information to a planned look: one soon after another has next to nothing to spend
_SLOWEST = 1.1  # least growth of the sample between looks


@dataclass(frozen=True)
class Bounds:
    """A value at one look.

    Attributes:
        loss: how much worse the first model is, as sampled so far.
        critical: one-sided error rate of a bound -> standard errors that it is away, with all looks together.
    """

    loss: Loss
    critical: Mapping[float, float]

    def low(self, level: float) -> float:
        """Return the lower bound of the true loss; with this probability it lies below it at any look."""
        return self.loss.loss - self.critical[level] * self.loss.error

    def high(self, level: float) -> float:
        """Return the upper bound."""
        return self.loss.loss + self.critical[level] * self.loss.error


@dataclass(frozen=True)
class Look:
    """One look at the sample.

    Attributes:
        images: per cell.
        passes: forward passes in this sample, of all models that are measured here.
        bounds: by the name of the value; a value that so few images leave undefined is not there.
        last: whether no look can follow.
    """

    images: int
    passes: int
    bounds: dict[str, Bounds]
    last: bool


@dataclass
class Looks:
    """Looks at a growing sample.

    Args:
        first: the model that is judged.
        baseline: what it is compared with.
        margins: by the name of the value, in stored units: the information that is planned depends on them.
        levels: one-sided error rates of the bounds, the largest last.
        budget: how much may be measured.
        title: shown with the progress.
    """

    first: Measured
    baseline: Baseline
    margins: dict[str, float]
    levels: tuple[float, ...]
    budget: Budget
    title: str
    _fractions: dict[str, list[float]] = field(default_factory=dict)
    _boundaries: dict[str, dict[float, Boundary]] = field(default_factory=dict)
    _began: float = field(default_factory=time.monotonic)

    def until(self, decided: Callable[[Look], bool]) -> list[Look]:
        """Look at larger and larger samples until the decision stands, or nothing more may be measured.

        Args:
            decided: whether it stands.

        Raises:
            RobenchError: the budget does not reach the first look, or images cannot be read.
        """
        most = self._most()
        images = min(self._first(), most)
        looks: list[Look] = []
        timed_out = False
        while True:
            look = self._look(images, last=images >= most or timed_out, state=self._state(looks))
            looks.append(look)
            if decided(look) or look.last:
                return looks
            following = self._following(look, most)
            allowed = self._in_time(look, following)
            if allowed <= images:
                return looks
            timed_out, images = allowed < following, allowed

    def passes(self, images: int) -> int:
        """Return the forward passes of a sample of so many images per cell, of all models that are measured here."""
        return passes(self.first.suite, images) * (2 if self.baseline.measured is not None else 1)

    def _most(self) -> int:
        """Return the images per cell of the largest sample."""
        from robench.results.deciding import least_images
        from robench.suites.drawing import LEAST_DRAWN

        suite = self.first.suite
        most = max(suite.total(cell) for cell in suite.suite.cells)
        most = most if self.baseline.most is None else min(most, self.baseline.most)
        if self.budget.passes is not None:
            low, high = 0, most
            while low < high:
                middle = (low + high + 1) // 2
                low, high = (middle, high) if self.passes(middle) <= self.budget.passes else (low, middle - 1)
            most = low
        whole = max(suite.total(cell) for cell in suite.suite.cells)
        least = min(max(least_images(list(self.margins)), LEAST_DRAWN), whole)
        if most < least:
            raise self._too_few(least, most)
        return most

    def _too_few(self, needed: int, most: int) -> RobenchError:
        """Return the refusal of a budget, or of a baseline's run, that does not reach the first look."""
        named = f"{', '.join(self.margins)} needs {needed} images per cell"
        stored = self.baseline.most
        if stored is not None and stored < needed:
            return RobenchError(
                f"{named}; the baseline's run is of a sample of {stored}.",
                hint=f"Measure the baseline with `limit={needed}` or more, or give its model in place of the run.",
            )
        return RobenchError(
            f"{named}, {self.passes(needed):,} forward passes; the budget allows {most} images per cell.",
            hint=f"Set `budget={self.passes(needed)}` or more, or choose fewer cells with `corruption`.",
        )

    def _first(self) -> int:
        from robench.results.deciding import least_images
        from robench.suites.drawing import first_size

        return max(first_size(passes(self.first.suite, 1)), least_images(list(self.margins)))

    def _look(self, images: int, *, last: bool, state: str) -> Look:
        from robench.metrics.sequential import planned_error

        found, bounds = self._losses(images, state), {}
        for name, loss in found.items():
            planned = planned_error(self.margins[name], self.levels[-1])
            fractions = self._fractions.setdefault(name, [])
            fractions.append((planned / loss.error) ** 2 if loss.error > 0 else 1e6)
            bounds[name] = Bounds(loss, self._critical(name, fractions[-1], last=last))
        return Look(images, self.passes(images), bounds, last)

    def _critical(self, name: str, fraction: float, *, last: bool) -> dict[float, float]:
        """Return the critical value of every level."""
        from robench.metrics.sequential import Boundary, Spending

        kept = self._boundaries.setdefault(name, {level: Boundary(Spending(level)) for level in self.levels})
        return {level: boundary.following(fraction, last=last) for level, boundary in kept.items()}

    def _losses(self, images: int, state: str) -> dict[str, Loss]:
        from robench.results.deciding import paired_losses, unpaired_losses

        names, title = list(self.margins), f"{self.title}: {state}" if state else self.title
        run = self.first.run(images, title)
        chosen = self._chosen(images)
        if self.baseline.result is not None:
            return unpaired_losses(run, self.baseline.result, names, chosen)
        other = self.baseline.run
        if self.baseline.measured is not None:
            other = self.baseline.measured.run(images, f"{self.baseline.name}, {title}")
        if other is None:
            raise RobenchError("There is no baseline.", hint="Set `baseline`.")
        return paired_losses(run, other, names, chosen)

    def _chosen(self, images: int) -> Chosen:
        sample = self.first.suite.with_limit(images)
        return {cell.name: sample.index(cell) for cell in sample.suite.cells}

    def _state(self, looks: Sequence[Look]) -> str:
        from robench.catalogue import row

        if not looks:
            return ""
        level = self.levels[-1]
        found = [
            f"{row(n).short or row(n).title} {row(n).show(b.loss.loss, sign=True)} "
            f"({row(n).show(b.low(level), sign=True)} to {row(n).show(b.high(level), sign=True)})"
            for n, b in looks[-1].bounds.items()
        ]
        return ", ".join(found)

    def _following(self, look: Look, most: int) -> int:
        """Return the images per cell of the next look: where the information is next due, or a little more."""
        now = min((self._fractions[name][-1] for name in look.bounds), default=0.0)
        if now <= 0:
            return min(most, 2 * look.images)
        wanted = next((one for one in _FRACTIONS if one > _SOONEST * now), _LATER * now)
        grown = math.ceil(look.images * wanted / now)
        return min(most, max(math.ceil(_SLOWEST * look.images), min(grown, 4 * look.images)))

    def _in_time(self, look: Look, following: int) -> int:
        """Return the images per cell that the time left allows, as fast as it went so far."""
        if self.budget.minutes is None:
            return following
        spent = time.monotonic() - self._began
        left = 60.0 * self.budget.minutes - spent
        made = self.first.passes + (self.baseline.measured.passes if self.baseline.measured is not None else 0)
        if left <= 0:
            return look.images
        if made == 0:
            return following
        more = left * made / spent
        while following > look.images and self.passes(following) - self.passes(look.images) > more:
            following = look.images + (following - look.images) // 2
        return following
