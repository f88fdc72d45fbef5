"""Results in the formats that the ecosystem exchanges: Hugging Face's two, and Every Eval Ever."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from robench.catalogue import headlines, row
from robench.results.labels import amount_words, image_words, interval_method, part_words
from robench.results.schema import Result, Value

EVERY_EVAL_EVER = "0.3.0"


def model_index(result: Result) -> dict[str, Any]:
    """Return the ``model-index`` entry of a Hugging Face model card, to be put into the front matter of its README.

    Values are in the unit that tables show (percent). Source: the metadata of model cards, huggingface/hub-docs.
    """
    suite = result.suite
    metrics = [
        {"type": name, "name": row(name).head, "value": _shown(name, value), "args": _interval(name, value)}
        for name, value in _values(result)
    ]
    arguments: dict[str, Any] = {
        "robench": result.run.robench,
        "version": suite.version,
        "source": suite.source,
        "dataset": suite.dataset,
        "cells": len(result.cells),
    }
    if part := part_words(result):
        arguments["partial"] = part.removeprefix("partial: ")
    if suite.sampled is not None:
        arguments["sampled"] = suite.sampled.text
    return {
        "name": result.model.name,
        "results": [
            {
                "task": {"type": "image-classification", "name": "Image classification"},
                "dataset": {"name": suite.title, "type": suite.name, "split": "test", "args": arguments},
                "metrics": metrics,
            }
        ],
    }


def eval_results(result: Result, dataset: str, task: str | None = None) -> list[dict[str, Any]]:
    """Return the entries of a file in the ``.eval_results/`` folder of a model's repository on the Hugging Face Hub.

    Args:
        result: of one model on one suite.
        dataset: id of the benchmark's data set on the Hub, ``OWNER/NAME``.
        task: id of the task there; None: the suite's name.

    Source: the format of huggingface/hub-docs, eval_results.yaml; one entry, of the headline value, as a leaderboard
    has one number per task.
    """
    names = headlines(result.summary)
    name = next(name for name in names if result.summary[name].value is not None)
    value = result.summary[name]
    ends = _interval(name, value)
    said = [f"robench {result.run.robench}", row(name).head, image_words(result)]
    said += [f"95 % interval {ends['low']} to {ends['high']}"] if ends else []
    said += [amount] if (amount := amount_words(result)) else []
    entry: dict[str, Any] = {"dataset": {"id": dataset, "task_id": task or result.suite.name}}
    entry["value"] = _shown(name, value)
    if result.run.started is not None:
        entry["date"] = result.run.started
    return [entry | {"notes": ", ".join(said)}]


def every_eval_ever(
    result: Result, organisation: str, developer: str | None = None, now: datetime | None = None
) -> dict[str, Any]:
    """Return a record by the schema of Every Eval Ever (``eval.schema.json``, version 0.3.0).

    Args:
        result: of one model on one suite.
        organisation: who ran the evaluation.
        developer: who provides the model; None: the organisation.
        now: when the record is made; None: now.

    Its validator wants the file at ``data/SUITE/DEVELOPER/MODEL/UUID.json``, the two last folders as ``model_info.id``.

    Every summary value with a direction is one evaluation result, as stored (fractions), with its interval.
    """
    made = str(int((now or datetime.now(UTC)).timestamp()))
    model = {
        "name": result.model.name,
        "id": f"{_folder(developer or organisation)}/{_folder(result.model.name)}",
        "developer": developer or organisation,
        "inference_engine": {"name": "torch", "version": str(result.run.torch)},
        "additional_details": {"deployment_type": "self_deployed", "model_availability": "unknown"}
        | _texts({"hash": result.model.hash, "preprocessing": result.model.preprocessing, "card": result.model.card}),
    }
    record: dict[str, Any] = {
        "schema_version": EVERY_EVAL_EVER,
        "evaluation_id": f"{result.suite.name}/{result.model.hash}/{made}",
        "retrieved_timestamp": made,
        "source_metadata": {
            "source_name": "robench",
            "source_type": "evaluation_run",
            "source_organization_name": organisation,
            "evaluator_relationship": "other",
        },
        "eval_library": {"name": "robench", "version": result.run.robench},
        "model_info": model,
        "evaluation_results": [
            _evaluation(result, name, value) for name, value in _values(result) if row(name).lower_is_better is not None
        ],
    }
    if result.run.started is not None:
        record["evaluation_timestamp"] = result.run.started
    return record


def _evaluation(result: Result, name: str, value: Value) -> dict[str, Any]:
    about, suite = row(name), result.suite
    low, high = about.range
    config: dict[str, Any] = {
        "metric_id": f"robench.{name}",
        "metric_name": about.title,
        "metric_unit": "proportion" if about.unit == "fraction" else about.unit,
        "lower_is_better": about.lower_is_better,
        "evaluation_description": f"{about.title} on {suite.title}",
    }
    if abs(low) != float("inf") and abs(high) != float("inf"):
        config |= {"score_type": "continuous", "min_score": low, "max_score": high}
    score: dict[str, Any] = {"score": value.value}
    if value.low is not None and value.high is not None:
        score["uncertainty"] = {
            "confidence_interval": {
                "lower": value.low,
                "upper": value.high,
                "confidence_level": result.statistics.level,
                "method": interval_method(result),
            },
            "num_samples": max(cell.images for cell in result.cells),
        }
        if suite.sampled is None:
            score["uncertainty"]["num_bootstrap_samples"] = result.statistics.resamples
    details = {"complete": suite.complete, "cells": len(result.cells), "protocol": suite.protocol}
    if suite.sampled is not None:
        details["sampled"] = suite.sampled.text
    return {
        "evaluation_name": suite.name,
        "source_data": {
            "dataset_name": suite.name,
            "source_type": "other",
            "additional_details": _texts({"source": suite.source, "version": suite.version, "data set": suite.dataset}),
        },
        "metric_config": config,
        "score_details": score | {"details": _texts(details)},
    }


def _values(result: Result) -> Iterator[tuple[str, Value]]:
    for name in headlines(result.summary):
        if result.summary[name].value is not None:
            yield name, result.summary[name]


def _shown(name: str, value: Value) -> float:
    """Return a value as tables show it, with their number of decimals."""
    return float(row(name).show(value.value or 0.0))


def _interval(name: str, value: Value) -> dict[str, float]:
    if value.low is None or value.high is None:
        return {}
    return {"low": float(row(name).show(value.low)), "high": float(row(name).show(value.high))}


def _folder(name: str) -> str:
    """Return a name as a part of a path that every system takes: ``My laboratory`` -> ``My-laboratory``."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", name).strip("-.") or "unknown"


def _texts(given: Mapping[str, Any]) -> dict[str, str]:
    """Return values as the schema wants them: texts, documents as JSON."""
    return {
        key: value if isinstance(value, str) else json.dumps(value, sort_keys=True, ensure_ascii=False)
        for key, value in given.items()
    }
