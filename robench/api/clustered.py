"""``robench.evaluate(..., cluster="auto")``: the same evaluation, its pieces handed to the workers of a Ray cluster."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from robench.api.models import DataClasses, as_model, data_classes, in_order, names_of
from robench.api.scored import Evaluated, scored
from robench.api.suites import fitted, open_one
from robench.errors import RobenchError
from robench.processes import quietly

if TYPE_CHECKING:
    from robench.api.options import ModelLike, ModelOptions, Place
    from robench.api.packing import Given
    from robench.data.base import Geometry
    from robench.evaluation import Outcome, Progress
    from robench.models.base import Model
    from robench.suites import OpenSuite


def evaluate_clustered(
    model: ModelLike | Sequence[ModelLike],
    suite: str | OpenSuite,
    given: Given,
    *,
    data: Place | None,
    out: Path | None,
    address: str,
    progress: Progress | None = None,
) -> Evaluated:
    """Measure one model on one suite on the cluster and score the run here.

    Raises:
        RobenchError: as :func:`robench.evaluate`, a model or suite that workers cannot make from its name, or no
            cluster at ``address``.
    """
    from robench.api.rounds import begun
    from robench.api.within import Rounds
    from robench.evaluation import default_folder, make_progress
    from robench.evaluation.cluster import Job, evaluate_on_cluster
    from robench.evaluation.progress import unit_of

    _check_address(address)
    if not isinstance(suite, str):
        raise RobenchError("`cluster` needs the name of a suite, not an open one.", hint="Give its name and `data`.")
    specs = tuple(_absolute(spec) for spec in _specs(model))
    there = None if data is None else _absolute(str(data))
    opened = open_one(suite, there, given)
    told = data_classes(opened)
    with quietly(given.report.quiet):
        loaded = as_model(specs, given.model, told)
    own, classes = loaded.preprocessing.geometry, loaded.num_classes
    make_suite = partial(_open_fitted, suite, there, given, own, classes)
    opened = fitted(opened, own, given.sizes, classes)
    told = replace(told, count=classes)
    make_model = partial(_load, specs, given.model, told, names_of(opened), opened.suite.num_classes)
    loaded = make_model()
    title = f"{loaded.name} on {opened.suite.name}"
    shown = progress or make_progress(title, quiet=given.report.quiet, unit=unit_of(opened.suite))
    folder = out or default_folder(loaded, opened, given.engine)

    def measured(sized: OpenSuite, seen: Progress) -> Outcome:
        job = Job(make_model, make_suite, given.engine, sized.options.limit)
        return evaluate_on_cluster(job, folder, address=address, progress=seen)

    outcome = Rounds(opened, given.within, given.with_run, begun(folder), shown, title).measured(measured)
    return scored(outcome, opened.suite.name, given.report)


def _load(
    specs: tuple[str, ...], options: ModelOptions, told: DataClasses, names: tuple[str, ...] | None, classes: int
) -> Model:
    return in_order(as_model(specs, options, told), names, classes)


def _open_fitted(suite: str, data: str | None, given: Given, geometry: Geometry | None, num_classes: int) -> OpenSuite:
    return fitted(open_one(suite, data, given), geometry, given.sizes, num_classes)


def _specs(model: ModelLike | Sequence[ModelLike]) -> list[str]:
    parts = [model] if isinstance(model, (str, Path)) or callable(model) or hasattr(model, "module") else list(model)
    if not all(isinstance(part, (str, Path)) for part in parts):
        raise RobenchError(
            "`cluster` needs a model that its workers can load: a path, timm:NAME, python:FILE.py:FUNCTION...",
            hint="Put your model into a function of a file and give python:FILE.py:FUNCTION.",
        )
    return [str(part) for part in parts]


def _check_address(address: str) -> None:
    if address not in ("auto", "local") and not re.fullmatch(r"(ray://)?[A-Za-z0-9_.\-\[\]:]+:\d{1,5}", address):
        raise RobenchError(
            f"`cluster` must be auto, local, HOST:PORT or ray://HOST:PORT; found '{address}'.",
            hint="Ray prints a cluster's address when it starts it.",
        )


def _absolute(spec: str) -> str:
    """Return a path that exists here in full, for workers that run in another folder; other specs as they are."""
    return str(Path(spec).resolve()) if Path(spec).exists() else spec
