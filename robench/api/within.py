"""Measure only as much as the answer needs: rounds of a growing sample, until the intervals are narrow enough."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from robench.api.rounds import SeenWhole
from robench.errors import RobenchError, did_you_mean

if TYPE_CHECKING:
    from pathlib import Path

    from robench.evaluation import Outcome, Progress
    from robench.predictions import RunFolder
    from robench.results.precision import Estimate
    from robench.suites import OpenSuite

HEADLINE = "headline"


@dataclass(frozen=True)
class Target:
    """How precisely a value is wanted.

    Args:
        name: of a summary value, or ``headline``: the one that the suite is about.
        half_width: of the 95 % interval for the full run, in the value's shown unit (points for percentages).
    """

    name: str
    half_width: float


def targets_of(within: Any) -> tuple[Target, ...]:
    """Return what a user asked for: a number of points, ``"mce=0.5,mean_error=0.3"``, or a mapping.

    Raises:
        RobenchError: not such a text, or a half-width below 0.

    >>> targets_of(0.5), targets_of("mce=0.5,mean_error=0.3")
    ((Target(name='headline', half_width=0.5),), (Target(name='mce', half_width=0.5), \
Target(name='mean_error', half_width=0.3)))
    """
    pairs: Iterable[tuple[Any, Any]]
    if isinstance(within, Mapping):
        pairs = within.items()
    elif isinstance(within, str) and "=" in within:
        pairs = [(name.strip(), width) for name, _, width in (part.partition("=") for part in within.split(","))]
    else:
        pairs = [(HEADLINE, within)]
    found = tuple(Target(str(name), _width(width)) for name, width in pairs)
    if not found:
        raise RobenchError("`within` names no value.", hint="For example `within=0.5`, or `within='mce=0.5'`.")
    return found


def _width(text: Any) -> float:
    try:
        width = float(text)
    except (TypeError, ValueError):
        width = math.nan
    if not (math.isfinite(width) and width >= 0) or isinstance(text, bool):
        raise RobenchError(
            f"`within` takes a half-width in points, 0 or more; found {str(text)[:40]!r}.",
            hint="For example `within=0.5`, or `within='mce=0.5,mean_error=0.3'`.",
        )
    return width


@dataclass(frozen=True)
class Step:
    """Where a sampled run stands.

    Args:
        drawn: images per cell so far.
        following: images per cell after the next round; ``drawn`` where the sample is enough.
        expected: images per cell that the targets seem to take.
        text: half-widths and what they are to be, in words.
    """

    drawn: int
    following: int
    expected: int
    text: str


@dataclass
class Rounds:
    """Measures in rounds, each of which contains the one before, until every target is met or all is measured.

    Args:
        suite: the suite, opened.
        targets: what is wanted; none: what the suite was opened with, in one round.
        with_run: folder of another model's run of all images, or None.
        started: the run where it was begun before, or None.
        progress: shows all rounds as one piece of work.
        title: of the work.
    """

    suite: OpenSuite
    targets: tuple[Target, ...]
    with_run: Path | None
    started: RunFolder | None
    progress: Progress
    title: str

    def measured(self, measure: Callable[[OpenSuite, Progress], Outcome]) -> Outcome:
        """Measure.

        Args:
            measure: measures a suite of some images per cell.

        Raises:
            RobenchError: a value that the suite does not have, or a control run that does not fit.
        """
        from robench.api.controlled import control_of, keep

        refuse_unknown(self.targets, self.suite)
        other = None if self.with_run is None else control_of(self.with_run, self.suite)
        if not self.targets or all(target.half_width == 0 for target in self.targets):
            whole = self.suite.with_limit(None) if self.targets else self.suite
            outcome = measure(whole, self.progress)
            if other is not None:
                keep(outcome.run, other)
            return outcome
        return self._in_rounds(measure, other)

    def _in_rounds(self, measure: Callable[[OpenSuite, Progress], Outcome], other: RunFolder | None) -> Outcome:
        from robench.api.controlled import keep
        from robench.suites.drawing import first_size

        suite, total = self.suite, max(self.suite.total(cell) for cell in self.suite.suite.cells)
        first = max(first_size(passes(suite, 1)), least_images_of(self.targets))
        drawn = min(total, max(first, _drawn(self.started, suite)))
        step = Step(drawn, drawn, drawn, "")
        fresh: list[str] = []
        with SeenWhole(self.progress, self.title) as seen:
            while True:
                seen.begin(passes(suite, step.expected), step.text)
                outcome = measure(suite.with_limit(drawn if drawn < total else None), seen)
                outcome.fresh = fresh = list(dict.fromkeys([*fresh, *outcome.fresh]))
                if other is not None:
                    keep(outcome.run, other)
                if outcome.failures or drawn >= total or not outcome.run.done():
                    return outcome
                step = next_step(outcome.run, suite, self.targets, drawn, total)
                if step.following <= drawn:
                    return outcome
                drawn = step.following


def refuse_unknown(targets: tuple[Target, ...], suite: OpenSuite) -> None:
    """Refuse values that no sample of the suite measures, before anything is measured.

    Raises:
        RobenchError: there is one.
    """
    from robench.results.deciding import sampled_names

    wanted = [target.name for target in targets]
    known = sampled_names(suite.suite, [cell.name for cell in suite.suite.cells]) if wanted else []
    if wanted and not known:
        raise _nothing(suite)
    for name in wanted:
        if name not in (HEADLINE, *known):
            raise _unknown(name, suite, known)


def _nothing(suite: OpenSuite) -> RobenchError:
    return RobenchError(f"{suite.suite.name} has no value that a sample can measure.", hint="Omit `within`.")


def _unknown(name: str, suite: OpenSuite, known: Iterable[str]) -> RobenchError:
    from robench.results.values import is_biased

    debiased = [one for one in known if one == f"{name}_debiased"]
    if is_biased(name):
        return RobenchError(
            f"A sample measures '{name}' with a bias.",
            hint=f"Ask for '{debiased[0]}'." if debiased else did_you_mean(name, known),
        )
    return RobenchError(
        f"'{name}' is not a value of {suite.suite.name} that a sample can measure.", hint=did_you_mean(name, known)
    )


def least_images_of(targets: Iterable[Target]) -> int:
    """Return how many images per cell the wanted values need to be defined."""
    from robench.results.deciding import least_images

    return least_images([target.name for target in targets if target.name != HEADLINE] or ["error"])


def passes(suite: OpenSuite, drawn: int) -> int:
    """Return how many images go through the model where each cell draws so many (of sequences: clips)."""
    return sum(min(drawn, suite.total(cell)) * suite.suite.frame_count(cell.condition) for cell in suite.suite.cells)


def next_step(run: RunFolder, suite: OpenSuite, targets: tuple[Target, ...], drawn: int, total: int) -> Step:
    """Return how many images per cell to draw next, from what a run has measured so far."""
    from robench.catalogue import row
    from robench.metrics.sampling import next_size
    from robench.results.precision import estimates

    found = estimates(run)
    texts, following, expected = [], drawn, drawn
    for target in targets:
        name = _name_of(target.name, suite, found)
        estimate, entry = found[name], row(name)
        wanted = target.half_width / entry.factor
        following = max(following, next_size(estimate.errors, drawn, total, wanted))
        now = entry.factor * estimate.half_width
        expected = max(expected, following, _expected(estimate, wanted, total))
        texts.append(f"{entry.short or entry.title} ±{now:.2f}, to be ±{target.half_width:g}")
    return Step(drawn, following, expected, ", ".join(texts))


def _expected(estimate: Estimate, wanted: float, total: int) -> int:
    return total if math.isnan(estimate.half_width) else min(total, estimate.errors.images_for(wanted))


def _name_of(name: str, suite: OpenSuite, found: Mapping[str, Estimate]) -> str:
    from robench.catalogue import headlines

    if name == HEADLINE:
        if suite.suite.headline in found:
            return suite.suite.headline
        shown = headlines(found)
        if shown:
            return shown[0]
        raise _nothing(suite)
    if name not in found:
        raise _unknown(name, suite, found)
    return name


def _drawn(run: RunFolder | None, suite: OpenSuite) -> int:
    """Return how many images of every cell a run has drawn; of a round that was stopped, how many it was to draw.

    Else the next round would follow from cells of unlike samples, and draw other images than one that was not stopped.
    """
    from robench.evaluation.pieces import missing_of
    from robench.metrics.sampling import GROWTH

    if run is None:
        return 0
    whole = suite.with_limit(None)
    lacking = [missing.after for cell in suite.suite.cells if (missing := missing_of(run, whole, cell)) is not None]
    fewest = min(lacking, default=max(suite.total(cell) for cell in suite.suite.cells))
    return max((drawn for drawn in lacking if drawn <= GROWTH * fewest), default=fewest)
