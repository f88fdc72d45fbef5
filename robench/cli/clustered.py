"""``robench evaluate --cluster``: the same evaluation, its pieces handed to the workers of a Ray cluster."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from robench.results.schema import Result


def evaluate_clustered(given: dict[str, Any], place: str | None, options: Any, opening: Any) -> tuple[Result, Path]:
    """Measure one model on one suite on the cluster, score the run here, and return its result and its folder.

    Args:
        given: the options of `robench evaluate`.
        place: the suite's data, or None.
        options: of the engine.
        opening: how the suite is opened.

    Raises:
        RobenchError: as for `robench evaluate`, or no cluster.
    """
    from robench.cli.evaluate import load_models
    from robench.evaluation import default_folder, make_progress
    from robench.evaluation.cluster import Job, evaluate_on_cluster
    from robench.results import save, score_run
    from robench.suites import open_suite

    model_options = {**given, "model": [_absolute(spec) for spec in given["model"]]}
    where = _absolute(place) if place else None
    classes = open_suite(given["suite"], where, opening).suite.num_classes
    make_model = partial(load_models, model_options, classes)
    model = make_model()
    make_suite = partial(_open_fitted, given["suite"], where, opening, model.preprocessing.geometry)
    opened = make_suite()
    out = given["out"] or default_folder(model, opened, options)
    quiet = given["quiet"] or given["json_"]
    progress = make_progress(f"{model.name} on {opened.suite.name}", quiet=quiet)
    job = Job(make_model, make_suite, options)
    outcome = evaluate_on_cluster(job, out, address=given["cluster"], progress=progress)
    result = score_run(outcome.run, resamples=given["resamples"], failures=outcome.failures)
    save(result, outcome.run.path / "result.json")
    return result, outcome.run.path


def _open_fitted(suite: str, place: str | None, opening: Any, geometry: Any) -> Any:
    """Open a suite with a model's own resize and crop; runs in the workers too."""
    from robench.suites import fit_to_model, open_suite

    return fit_to_model(open_suite(suite, place, opening), geometry)


def _absolute(spec: str) -> str:
    """Return a path that exists here in full, for workers that run in another folder; other specs as they are."""
    return str(Path(spec).resolve()) if Path(spec).exists() else spec
