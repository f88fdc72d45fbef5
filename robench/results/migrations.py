"""Results of earlier schemas: each step turns a document of version n into one of version n + 1."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from robench.errors import RobenchError
from robench.results.schema import SCHEMA_VERSION

Document = dict[str, Any]


def migrate(document: Document, name: str = "the document") -> Document:
    """Return the document in the present schema; the one given is not changed.

    Args:
        document: a result document, as read from JSON.
        name: what error messages call it.

    Raises:
        RobenchError: the document's schema is newer than this robench, or has no version.
    """
    version = document.get("schema_version")
    if not isinstance(version, int) or version < 1:
        raise RobenchError(f"{name} has no schema_version.", hint="Write it again with `robench metrics RUN`.")
    if version > SCHEMA_VERSION:
        raise RobenchError(
            f"{name} was written by a newer robench (schema {version}; this one reads up to {SCHEMA_VERSION}).",
            hint="Update with `pip install -U robench`.",
        )
    for step in range(version, SCHEMA_VERSION):
        document = STEPS[step](document)
    return document


def renamed(name: str) -> str:
    """Return the present name of a metric or summary value of schema 1.

    >>> renamed("mean_corruption_error"), renamed("clean_mce_calibration"), renamed("mce")
    ('mean_error', 'clean_max_calibration_error', 'mce')
    """
    if name in _SUMMARIES:
        return _SUMMARIES[name]
    for old, new in _METRICS.items():
        if name == old or name.endswith(f"_{old}"):
            return name.removesuffix(old) + new
    return name


# schema 1 -> 2: what the field calls mean corruption error is normalised; two other names said what they are not
_SUMMARIES = {"mean_corruption_error": "mean_error", "mean_corruption_error_19": "mean_error_19"}
_METRICS = {"mce_calibration": "max_calibration_error", "mean_average_precision": "weighted_pr_auc"}


def _rename_values(document: Document) -> Document:
    """Schema 2 differs from schema 1 only in names of metrics and summary values."""
    new = {**document, "schema_version": 2}
    for key in ("summary", "conditions", "severities", "cells"):
        if key in document:
            new[key] = _NAMED[key](document[key])
    return new


def _values(named: Any) -> Any:
    return {renamed(name): value for name, value in named.items()} if isinstance(named, Mapping) else named


def _groups(groups: Any) -> Any:
    return {name: _values(named) for name, named in groups.items()} if isinstance(groups, Mapping) else groups


def _cells(cells: Any) -> Any:
    if not isinstance(cells, list):
        return cells
    return [{**cell, "metrics": _values(cell.get("metrics"))} if isinstance(cell, Mapping) else cell for cell in cells]


_NAMED: dict[str, Callable[[Any], Any]] = {
    "summary": _values,
    "conditions": _groups,
    "severities": _groups,
    "cells": _cells,
}
STEPS: dict[int, Callable[[Document], Document]] = {1: _rename_values}
