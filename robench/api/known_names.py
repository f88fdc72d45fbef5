"""The names that an option takes (suites, recipes, metrics...), for a shell's completion and for notebooks."""

from __future__ import annotations

from collections.abc import Iterable


def suites() -> Iterable[str]:
    """Return the names of the suites."""
    from robench.suites import names

    return names()


def architectures() -> Iterable[str]:
    """Return the names of the built-in architectures."""
    from robench.models.architectures import names

    return names()


def models() -> Iterable[str]:
    """Return the names of the reference models, as specs."""
    from robench.models.reference import names

    return (f"reference:{name}" for name in names())


def presets() -> Iterable[str]:
    """Return the names of the normalisation presets."""
    from robench.models.presets import PRESETS

    return PRESETS


def recipes() -> Iterable[str]:
    """Return the names of the recipes."""
    from robench.training import recipes

    return recipes.names()


def metrics() -> Iterable[str]:
    """Return the names of the metrics."""
    from robench.catalogue import METRICS

    return METRICS


def tables() -> Iterable[str]:
    """Return the addresses of the papers' tables."""
    from robench.tables.published import addresses
    from robench.tables.reference import ADDRESS

    return ("list", "coverage", *addresses(), ADDRESS)


def data_sets() -> Iterable[str]:
    """Return the names of the data sets that can be downloaded."""
    from robench.api.data_sets import list_data

    return (one.name for one in list_data())
