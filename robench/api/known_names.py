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


def values() -> Iterable[str]:
    """Return the names of the summary values, the main ones first, and of the metrics."""
    from robench.catalogue import METRICS, SUMMARIES, headlines

    means = (f"{part}_{name}" for name in METRICS for part in ("mean", "clean"))
    return dict.fromkeys((*headlines(SUMMARIES), *SUMMARIES, *means, *METRICS))


def corruptions() -> Iterable[str]:
    """Return the names of the corruptions."""
    from robench.corruptions.registered import CORRUPTIONS

    return CORRUPTIONS


def ranked_suites() -> Iterable[str]:
    """Return the names of the suites that others publish rows of."""
    from robench.tables.living import ROBUSTBENCH, TIMM_MATCHING

    return (*ROBUSTBENCH, *TIMM_MATCHING)


def figures() -> Iterable[str]:
    """Return the addresses of the papers' figures."""
    from robench.tables.figures import figures

    return ("list", *figures())


def tables() -> Iterable[str]:
    """Return the addresses of the papers' tables."""
    from robench.tables.published import addresses
    from robench.tables.reference import ADDRESS

    return ("list", "coverage", *addresses(), ADDRESS)


def data_sets() -> Iterable[str]:
    """Return the names of the data sets that can be downloaded."""
    from robench.api.data_sets import list_data

    return (one.name for one in list_data())
