"""Which columns of the predictions scoring reads: logits of many classes would fill the memory for nothing."""

from __future__ import annotations

from collections.abc import Sequence

from robench.catalogue import METRICS, defaults


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
