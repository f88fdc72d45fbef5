"""The protocol behind a run or a result: which conditions its headline values average, and what normalises them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from robench.errors import RobenchError
from robench.predictions import SuiteInfo
from robench.results.schema import Result
from robench.suites.base import Cell, Suite


def protocol_of_run(record: SuiteInfo) -> Suite:
    """Return the suite that a run measured, with the summary rules and the normaliser that the run recorded.

    Args:
        record: the run's record of its suite.

    A suite that is not known here (of a package that is not installed) averages all conditions that were measured.
    Sequences of difficulty 2 and 3 have no normaliser: AlexNet's flip probabilities are of difficulty 1. Generated
    cells are all of the same images, also where the published ones are not.
    """
    known = _known(record.name) or _unknown(record.name, record.dataset, record.num_classes)
    normaliser = _normaliser(record.normaliser, record.protocol)
    own = known.own_clean and record.source == "published"
    return replace(known, task=record.task, summary=record.summary, normaliser=normaliser, own_clean=own)


def protocol_of(result: Result) -> Suite:
    """Return the suite of a result; one that is not known here has neither groups nor benchmark conditions.

    Sequences of difficulty 2 and 3 have no normaliser, as in :func:`protocol_of_run`.
    """
    suite = result.suite
    known = _known(suite.name) or _unknown(suite.name, suite.dataset, suite.num_classes)
    return replace(known, normaliser=_normaliser(suite.normaliser, suite.protocol))


def averaged(suite: Suite, cells: Iterable[Cell]) -> tuple[str, ...]:
    """Return the conditions of these cells that the suite's headline values average, in the cells' order.

    Where none of them is one of the suite's benchmark conditions, all are that are not its clean one.

    >>> from robench.suites import get
    >>> averaged(get("cifar10-c"), [Cell("clean"), Cell("fog", 1), Cell("spatter", 1)])
    ('fog',)
    """
    found = shifted(suite, (cell.condition for cell in cells))
    return tuple(name for name in found if name in suite.benchmark) or found


def counted(task: str) -> str:
    """Return what the images of a cell's count are: a suite of sequences counts clips, each of many frames.

    >>> counted("perturbation"), counted("classification")
    ('clips', 'images')
    """
    return "clips" if task == "perturbation" else "images"


def shifted(suite: Suite, conditions: Iterable[str]) -> tuple[str, ...]:
    """Return these conditions in their order, without the clean one (unless the suite is about that one)."""
    unshifted = {clean_condition(suite)} - set(suite.benchmark)
    return tuple(name for name in dict.fromkeys(conditions) if name not in unshifted)


MODELS_OWN = frozenset({"geometry", "branch"})
"""What a protocol says of the model, not of the images: its resize and crop, and the attacked branch of a dual one."""


def of_images(protocol: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a protocol says of the images: models whose protocols agree in it can be compared.

    >>> of_images({"checksum": "5f2c", "branch": "main"}) == of_images({"checksum": "5f2c", "branch": "only"})
    True
    """
    return {name: value for name, value in protocol.items() if name not in MODELS_OWN}


def clean_condition(suite: Suite) -> str:
    """Return the condition of the images without a shift: the suite's, else ``clean``."""
    return suite.clean or "clean"


def grouped(suite: Suite, conditions: Iterable[str]) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """Return (title, conditions) of the suite's groups, as published, and "" with what is in none of them.

    >>> from robench.suites import get
    >>> grouped(get("cifar10-c"), ["fog", "lines", "snow"])
    (('weather', ('snow', 'fog')), ('', ('lines',)))
    """
    present = list(dict.fromkeys(conditions))
    groups = [(title, tuple(name for name in members if name in present)) for title, members in suite.groups]
    known = {name for _, members in suite.groups for name in members}
    rest = tuple(name for name in present if name not in known)
    return tuple((title, members) for title, members in (*groups, ("", rest)) if members)


def _normaliser(name: str | None, protocol: Mapping[str, Any]) -> str | None:
    """Return the name of the baseline's table, None where that is of sequences of another difficulty."""
    return name if (protocol.get("difficulty") or 1) == 1 else None


def _known(name: str) -> Suite | None:
    from robench.suites import get

    try:
        return get(name)
    except RobenchError:
        return None


def _unknown(name: str, dataset: str, num_classes: int) -> Suite:
    return Suite(name=name, title=name, task="classification", dataset=dataset, num_classes=num_classes, cells=(),
                 summary=())  # fmt: skip
