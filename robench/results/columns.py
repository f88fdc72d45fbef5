"""Which columns of the predictions scoring reads: logits of many classes would fill the memory for nothing."""

from __future__ import annotations

from collections.abc import Sequence

from robench.catalogue import METRICS, defaults
from robench.predictions import SuiteInfo
from robench.results.protocols import protocol_of_run


def optional_columns(task: str, metrics: Sequence[str] | None = None) -> frozenset[str]:
    """Return the columns that metrics need besides those that every file of predictions has.

    Args:
        task: of the suite.
        metrics: names of metrics; None: those that a result of this task carries.

    Raises:
        RobenchError: an unknown metric.

    >>> usual, one = optional_columns("classification"), optional_columns("classification", ["classwise_ece"])
    >>> "logits" in usual, "logits" in one
    (False, True)
    """
    usual = (*defaults(task), *(defaults("variants") if task == "classification" else ()))
    names = tuple(metrics) if metrics is not None else usual
    return frozenset({"frame", "targets", "log_complement"}.union(*(METRICS.get(name).needs for name in names)))


def columns_of(suite: SuiteInfo, metrics: Sequence[str] | None = None) -> frozenset[str]:
    """Return :func:`optional_columns` of a run, and those by which images are found that several of its sets have.

    Args:
        suite: the run's record of its suite.
        metrics: names of metrics; None: those that a result of its task carries.

    Raises:
        RobenchError: an unknown metric.
    """
    prints = {"fingerprint"} if protocol_of_run(suite).own_images else set()
    return optional_columns(suite.task, metrics) | prints
