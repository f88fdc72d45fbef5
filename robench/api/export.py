"""``robench.export(run, format)``: a result in the formats that others read."""

from __future__ import annotations

from typing import TYPE_CHECKING

from robench.api.options import Place
from robench.api.words import one_of, place, spelled_out
from robench.errors import RobenchError

if TYPE_CHECKING:
    from robench.results import Result

FORMATS = ("model-index", "eval-results", "every-eval-ever", "csv")


@spelled_out()
def export(
    run: Place | Result,
    format: str = "model-index",
    *,
    dataset: str | None = None,
    organisation: str | None = None,
    developer: str | None = None,
    out: Place | None = None,
) -> str:
    """Return a result as text in a format that other tools read.

    Args:
        run: a run's folder, a result file, or a result.
        format: ``model-index``: YAML for the front matter of a Hugging Face model card; ``eval-results``: YAML for a
            file in the ``.eval_results/`` folder of a repository there; ``every-eval-ever``: a JSON record of that
            schema; ``csv``: one line per cell and metric, as stored; ``of``: images of the whole cell.
        dataset: with ``eval-results``: id of the benchmark's data set on the Hub, ``OWNER/NAME``.
        organisation: with ``every-eval-ever``: who ran the evaluation.
        developer: with ``every-eval-ever``: who provides the model; None: the organisation.
        out: also write the text to this file; None: only return it.

    Raises:
        RobenchError: no such result or format, or an option that the format needs, or has no use for.

    >>> import tempfile, robench
    >>> few = {"corruption": "contrast", "severity": 5, "limit": 50, "device": "cpu", "resamples": 0, "quiet": True}
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     result = robench.evaluate("reference:digits/augmix", "digits-c", out=folder, **few)
    >>> print(robench.export(result).splitlines()[0])
    model-index:
    """
    from robench.files import atomic_write
    from robench.results import Result
    from robench.results.loading import load

    one_of("format", format, FORMATS)
    _check("dataset", dataset, format, "eval-results", "imagenet-c/benchmark")
    _check("organisation", organisation, format, "every-eval-ever", "My laboratory")
    if developer is not None and format != "every-eval-ever":
        raise RobenchError(f"`developer` has no effect on `format={format}`.", hint="Omit `developer`.")
    result = run if isinstance(run, Result) else load(place("run", run))
    text = _text(result, format, dataset or "", organisation or "", developer)
    if out is not None:
        with atomic_write(place("out", out)) as file:
            file.write(text.encode())
    return text


def _check(name: str, value: str | None, format: str, needed_by: str, example: str) -> None:
    if format == needed_by and not value:
        raise RobenchError(f"`format={format}` needs `{name}`.", hint=f"For example `{name}='{example}'`.")
    if format != needed_by and value is not None:
        raise RobenchError(f"`{name}` has no effect on `format={format}`.", hint=f"Omit `{name}`.")
    if name == "dataset" and value is not None and value.count("/") != 1:
        raise RobenchError(
            f"`dataset` must be OWNER/NAME; found '{value}'.", hint=f"For example `dataset='{example}'`."
        )


def _text(result: Result, format: str, dataset: str, organisation: str, developer: str | None) -> str:
    import csv
    import io
    import json

    import yaml

    from robench.results import exports

    if format == "every-eval-ever":
        return json.dumps(exports.every_eval_ever(result, organisation, developer), indent=2, ensure_ascii=False) + "\n"
    if format == "csv":
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        head = ["model", "suite", "cell", "images", "metric", "value", "low", "high"]
        writer.writerow([*head, "source", "dataset", "of", "full_run_low", "full_run_high"])
        suite = result.suite
        for cell in result.cells:
            for name, value in cell.metrics.items():
                found = (value.value, value.low, value.high, value.full_run_low, value.full_run_high)
                numbers = ["" if one is None else repr(one) for one in found]
                about = [result.model.name, suite.name, cell.name, cell.images, name, *numbers[:3]]
                writer.writerow([*about, suite.source, suite.dataset, cell.of or cell.images, *numbers[3:]])
        return text.getvalue()
    document: object
    if format == "model-index":
        document = {"model-index": [exports.model_index(result)]}
    else:
        document = exports.eval_results(result, dataset)
    return yaml.safe_dump(document, sort_keys=False, allow_unicode=True)
