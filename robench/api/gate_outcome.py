"""How a gate ended, and the files that code hosts read of it."""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from robench.api.options import Place
from robench.api.words import place

Verdict = Literal["pass", "loss", "undecided"]
EXIT_CODES: dict[Verdict, int] = {"pass": 0, "loss": 1, "undecided": 3}


def method_of(values: int) -> str:
    """Return how the bounds of a gate on so many values are computed.

    >>> method_of(2)[:89]
    'repeated confidence intervals, one-sided (lower bounds 2 % each for 2 values, upper 5 %),'
    """
    share = f"{4 / values:.3g} %" + (f" each for {values} values" if values > 1 else "")
    return (
        f"repeated confidence intervals, one-sided (lower bounds {share}, upper 5 %), O'Brien-Fleming-type spending"
        " (Lan and DeMets 1983; Jennison and Turnbull 1989)"
    )


@dataclass(frozen=True)
class GateValue:
    """One value of a gate; all numbers are as they are stored (shares, not percentages).

    Args:
        name: of the summary value.
        model, baseline: the two models' values.
        loss: how much worse the model is, in this sample; below 0 where it is better.
        low, high: one-sided bounds of the true loss, valid at all looks together: it lies below ``low`` in at most 4 %
            of gates (with several values, any of them), above ``high`` in at most 5 %.
        max_loss: the loss that is allowed.
        verdict: ``pass``: the loss is below ``max_loss``; ``loss``; or ``undecided``.
    """

    name: str
    model: float
    baseline: float
    loss: float
    low: float
    high: float
    max_loss: float
    verdict: Verdict


@dataclass(frozen=True)
class GateOutcome:
    """How a gate ended.

    Args:
        verdict: ``pass``: no value loses more than allowed; ``loss``: one loses; ``undecided``.
        suite: its name.
        model, baseline: the models' names.
        paired: whether both were measured on the same images.
        values: what was found of each value.
        images: per cell.
        passes: forward passes in the sample, of all models that are measured here.
        measured: those of them that this call made.
        of: forward passes of the whole suite.
        looks: how often the growing sample was looked at.
        budget: the passes that were allowed; None: all.
        minutes: the minutes that were allowed; None: any.
        seconds: that this call took.
        folders: the runs' folders, the model's first.
        notes: what a reader should know.
        method: how the bounds were computed.
    """

    verdict: Verdict
    suite: str
    model: str
    baseline: str
    paired: bool
    values: tuple[GateValue, ...]
    images: int
    passes: int
    measured: int
    of: int
    looks: int
    budget: int | None
    minutes: float | None
    seconds: float
    folders: tuple[Path, ...]
    notes: tuple[str, ...]
    method: str

    @property
    def exit_code(self) -> int:
        """The command's exit code: 0 pass, 1 loss, 3 undecided."""
        return EXIT_CODES[self.verdict]

    @property
    def passed(self) -> bool:
        """Whether no value loses more than allowed."""
        return self.verdict == "pass"

    def document(self) -> dict[str, Any]:
        """Return it as a JSON-able document."""
        return {"kind": "robench-gate", **asdict(self), "folders": [str(folder) for folder in self.folders],
                "exit_code": self.exit_code}  # fmt: skip


def write_gate(outcome: GateOutcome, *, junit: Place | None = None, markdown: Place | None = None) -> None:
    """Write how a gate ended for code hosts.

    Args:
        outcome: of :func:`gate`.
        junit: file of a JUnit XML report.
        markdown: file of a Markdown summary; the file that ``GITHUB_STEP_SUMMARY`` names is appended to.

    Raises:
        RobenchError: a file cannot be written.
    """
    from robench.files import atomic_write, unwritable
    from robench.tables.gates import as_junit, as_markdown

    if junit is not None:
        with atomic_write(place("junit", junit)) as file:
            file.write(as_junit(outcome).encode())
    if markdown is None:
        return
    summary, text = place("markdown", markdown), as_markdown(outcome).encode()
    if str(summary) == os.environ.get("GITHUB_STEP_SUMMARY"):
        try:
            with open(summary, "ab") as kept:
                kept.write(text)
        except OSError as error:
            raise unwritable(summary, error) from error
        return
    with atomic_write(summary) as file:
        file.write(text)
