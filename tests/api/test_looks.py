"""Looks at a growing sample: when they come, when they end, and that they keep their error rate."""

from __future__ import annotations

import time
from dataclasses import dataclass
from itertools import pairwise
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from robench.api.compared import Baseline, Budget
from robench.api.gate import of_look
from robench.api.looks import Look, Looks
from robench.metrics.sequential import planned_error
from robench.results.deciding import Loss

MARGINS = {"mean_error": 0.01}


@dataclass
class Drawn(Looks):
    """Looks at normal values of 100 cells in place of a model's."""

    values: Any = None
    most: int = 150
    seconds: float = 0.0

    def passes(self, images: int) -> int:
        return 100 * images

    def _most(self) -> int:
        return self.most

    def _first(self) -> int:
        return 25

    def _losses(self, images: int, state: str) -> dict[str, Loss]:
        time.sleep(self.seconds)
        rows = self.values[: 100 * images]
        return {"mean_error": Loss("mean_error", 0.0, 0.0, float(rows.mean()), float(rows.std() / len(rows) ** 0.5))}


def looks(values: Any, **words: Any) -> Drawn:
    measured: Any = SimpleNamespace(passes=2500)
    return Drawn(
        measured, Baseline("old"), MARGINS, (0.04, 0.05), words.pop("budget", Budget()), "", values=values, **words
    )


def test_looks_come_where_information_is_due_and_the_last_is_told() -> None:
    rng = np.random.default_rng(0)
    seen = looks(rng.normal(0.0, 0.4, 15_000)).until(lambda _: False)
    assert [look.last for look in seen] == [False] * (len(seen) - 1) + [True]
    assert seen[0].images == 25
    assert seen[-1].images == 150
    sizes = [look.images for look in seen]
    assert all(b >= 1.1 * a - 1 for a, b in pairwise(sizes[:-1]))
    assert len(seen) <= 7


def test_a_look_just_before_a_planned_one_takes_its_place() -> None:
    """A second look soon after would have next to nothing of the error rate to spend, and a bound far out."""
    deviation = 50 * planned_error(MARGINS["mean_error"], 0.05) / 0.235**0.5  # of 2,500 values: nearly a quarter
    drawn = looks(np.random.default_rng(3).normal(0.0, deviation, 15_000))
    seen = drawn.until(lambda look: look.images > 25)
    first, second = drawn._fractions["mean_error"]
    assert first == pytest.approx(0.235, rel=0.05)
    assert second >= 1.8 * first
    assert seen[1].bounds["mean_error"].critical[0.05] < seen[0].bounds["mean_error"].critical[0.05]


def test_they_end_with_the_decision() -> None:
    rng = np.random.default_rng(1)
    seen = looks(rng.normal(0.2, 0.4, 15_000)).until(lambda look: of_look(MARGINS, look, ended=False) != "undecided")
    assert len(seen) == 1
    assert of_look(MARGINS, seen[0], ended=False) == "loss"


def test_a_time_that_is_up_ends_them_and_a_short_one_makes_the_next_look_smaller() -> None:
    rng = np.random.default_rng(2)
    values = rng.normal(0.0, 2.0, 15_000)  # the next look would be four times as large
    assert len(looks(values, budget=Budget(minutes=1e-4), seconds=0.05).until(lambda _: False)) == 1
    # 25 images took 0.2 s of 0.3 s: some 12 more are left, in a last look
    seen = looks(values, budget=Budget(minutes=0.3 / 60), seconds=0.2).until(lambda _: False)
    assert len(seen) == 2
    assert 25 < seen[1].images < 45
    assert seen[1].last


@pytest.mark.parametrize(("loss", "verdict"), [(0.0, "loss"), (0.01, "pass")])
def test_wrong_verdicts_stay_rare(loss: float, verdict: str) -> None:
    """120 gates: no loss is taken for one, and one of the margin is let through, in about 5 % at most."""
    rng = np.random.default_rng(3)
    wrong = 0
    for _ in range(120):
        one = looks(rng.normal(loss, 0.4, 15_000))
        seen: list[Look] = one.until(lambda look: of_look(MARGINS, look, ended=False) != "undecided")
        wrong += of_look(MARGINS, seen[-1], ended=True) == verdict
    assert wrong / 120 < 0.05 + 3 * np.sqrt(0.05 * 0.95 / 120)
