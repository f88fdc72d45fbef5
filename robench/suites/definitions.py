"""The list of suites: one row a suite, its protocol and the function that opens it."""

from __future__ import annotations

from robench.corruptions.severities import BENCHMARK, EXTRA
from robench.suites.base import Cell, Suite

HENDRYCKS_2019 = "Hendrycks and Dietterich, Benchmarking Neural Network Robustness, ICLR 2019, arXiv:1903.12261"
CLEAN = Cell("clean")


def _severities(conditions: tuple[str, ...]) -> tuple[Cell, ...]:
    return tuple(Cell(condition, severity) for condition in conditions for severity in range(1, 6))


CORRUPTED = (CLEAN, *_severities(tuple(BENCHMARK)), *_severities(tuple(EXTRA)))

_ROWS: tuple[tuple[Suite, str], ...] = (
    (
        Suite(
            name="digits-c",
            title="Corrupted digits: 15 corruptions by 5 severities, generated from the embedded data",
            task="classification",
            dataset="digits",
            num_classes=10,
            cells=(CLEAN, *_severities(tuple(BENCHMARK))),
            summary=("clean", "corruption"),
            sources=("generated",),
            paper=HENDRYCKS_2019 + " (the protocol; the CIFAR severities)",
            licence="CC BY 4.0 (the scans)",
            notes="Works without any download; meant for a first run and for tests, not for claims.",
        ),
        "robench.suites.corrupted:open_digits",
    ),
    (
        Suite(
            name="cifar10-c",
            title="CIFAR-10-C: 15 corruptions by 5 severities (and 4 held-out corruptions)",
            task="classification",
            dataset="cifar10",
            num_classes=10,
            cells=CORRUPTED,
            summary=("clean", "corruption"),
            sources=("published", "generated"),
            paper=HENDRYCKS_2019,
            url="https://zenodo.org/records/2535967",
            licence="CC BY 4.0",
            notes="Headline figures average the 15 benchmark corruptions, unnormalised.",
        ),
        "robench.suites.corrupted:open_cifar",
    ),
    (
        Suite(
            name="clean",
            title="The error and calibration on any unchanged test set",
            task="classification",
            dataset="any",
            num_classes=0,
            cells=(CLEAN,),
            summary=("clean",),
            notes="The number of classes is that of the data; without --data the embedded digits.",
        ),
        "robench.suites.clean:open_clean",
    ),
)

SUITES: dict[str, tuple[Suite, str]] = {suite.name: (suite, opener) for suite, opener in _ROWS}
