"""Result documents for tests of plots and reports, computed here from real classifiers on real scans.

scikit-learn's digits, three scikit-learn classifiers, plain numpy corruptions and plain numpy metrics: nothing of
robench but the schema, so that plots and reports can be tested by themselves.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

import numpy as np
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier

from robench.results.comparing import Comparison, Difference
from robench.results.schema import Result

Array = np.ndarray[Any, Any]
BINS, RESAMPLES = 15, 60
METRICS = ("error", "rms_calibration_error", "ece", "brier", "nll", "overconfidence_gap")
CLASSIFIERS: dict[str, Callable[[], Any]] = {
    "logistic": lambda: LogisticRegression(C=0.05, max_iter=300),
    "neighbours": lambda: KNeighborsClassifier(9),
    "bayes": lambda: GaussianNB(var_smoothing=0.01),
}


def _noise(x: Array, s: int, rng: np.random.Generator) -> Array:
    return x + rng.normal(0, 0.09 * s, x.shape)


def _shot(x: Array, s: int, rng: np.random.Generator) -> Array:
    return rng.poisson(np.clip(x, 0, 1) * 40 / s**1.5) / (40 / s**1.5)


def _blur(x: Array, s: int, rng: np.random.Generator) -> Array:
    for _ in range(s):
        x = 0.5 * x + 0.125 * sum(np.roll(x, shift, axis) for shift in (-1, 1) for axis in (1, 2))
    return x


CORRUPTIONS: dict[str, Callable[[Array, int, np.random.Generator], Array]] = {
    "gaussian_noise": _noise,
    "shot_noise": _shot,
    "defocus_blur": _blur,
    "brightness": lambda x, s, rng: x + 0.1 * s,
    "contrast": lambda x, s, rng: x.mean((1, 2), keepdims=True) + (x - x.mean((1, 2), keepdims=True)) * (1 - 0.17 * s),
    "pixelate": lambda x, s, rng: np.where(rng.random(x.shape) < 0.09 * s, x.mean((1, 2), keepdims=True), x),
}


@cache
def _parts() -> tuple[Array, Array, Array, Array]:
    data = load_digits()
    x, y = data.images / 16.0, data.target
    order = np.random.RandomState(0).permutation(len(y))
    return x[order[:900]], y[order[:900]], x[order[900:1300]], y[order[900:1300]]


def _cells() -> Iterator[tuple[str, str, int | None, Array]]:
    _, _, test, _ = _parts()
    yield "clean", "clean", None, test
    for number, (name, corrupt) in enumerate(CORRUPTIONS.items()):
        for s in range(1, 6):
            yield f"{name}/{s}", name, s, np.clip(corrupt(test, s, np.random.default_rng([number, s])), 0, 1)


def _bins(confidence: Array) -> Array:
    return np.minimum((confidence * BINS).astype(int), BINS - 1)


def _metric(name: str, p: Array, y: Array) -> float:
    predicted, confidence = p.argmax(1), p.max(1)
    correct = predicted == y
    if name == "error":
        return float(1 - correct.mean())
    if name == "overconfidence_gap":
        return float(confidence.mean() - correct.mean())
    if name == "brier":
        return float(((p - np.eye(10)[y]) ** 2).sum(1).mean())
    if name == "nll":
        return float(-np.log(np.clip(p[np.arange(len(y)), y], 1e-7, 1)).mean())
    where, n = _bins(confidence), np.bincount(_bins(confidence), minlength=BINS)
    gap = np.abs(np.bincount(where, confidence - correct, BINS)) / np.maximum(n, 1)
    return float(np.sqrt((n * gap**2).sum() / n.sum()) if name.startswith("rms") else (n * gap).sum() / n.sum())


@cache
def _figures(model: str) -> tuple[dict[str, tuple[str, int | None]], Array, dict[str, tuple[Array, Array]]]:
    """Return the cells, figures (1 + resamples, cells, metrics) and (probabilities, labels) of each cell."""
    train, train_y, _, y = _parts()
    classifier = CLASSIFIERS[model]().fit(train.reshape(len(train), -1), train_y)
    draws = [np.arange(len(y)), *np.random.default_rng(0).integers(0, len(y), (RESAMPLES, len(y)))]
    cells: dict[str, tuple[str, int | None]] = {}
    figures, kept = [], {}
    for name, condition, severity, images in _cells():
        p = classifier.predict_proba(images.reshape(len(images), -1))
        cells[name], kept[name] = (condition, severity), (p, y)
        figures.append([[_metric(metric, p[rows], y[rows]) for metric in METRICS] for rows in draws])
    return cells, np.array(figures).transpose(1, 0, 2), kept


def _figure(column: Array) -> dict[str, float]:
    low, high = np.percentile(column[1:], [2.5, 97.5])
    return {"value": float(column[0]), "low": float(low), "high": float(high)}


def _reliability(parts: list[tuple[Array, Array]]) -> list[dict[str, Any]]:
    p, y = np.concatenate([one for one, _ in parts]), np.concatenate([one for _, one in parts])
    confidence, correct = p.max(1), p.argmax(1) == y
    rows: list[dict[str, Any]] = []
    for b in range(BINS):
        inside = _bins(confidence) == b
        n = int(inside.sum())
        if n == 0:
            rows.append({"count": 0})
            continue
        accuracy = float(correct[inside].mean())
        half = 1.96 * np.sqrt(accuracy * (1 - accuracy) / n)
        ends = {"low": max(0.0, accuracy - half), "high": min(1.0, accuracy + half)}
        rows.append({"count": n, "confidence": float(confidence[inside].mean()), "accuracy": accuracy, **ends})
    return rows


@cache
def _document(model: str) -> Result:
    cells, figures, kept = _figures(model)
    names = list(cells)

    def mean_of(chosen: list[str]) -> dict[str, dict[str, float]]:
        columns = figures[:, [names.index(name) for name in chosen]].mean(1)
        return {metric: _figure(columns[:, i]) for i, metric in enumerate(METRICS)}

    corrupted = [name for name in names if name != "clean"]
    whole, clean = mean_of(corrupted), mean_of(["clean"])
    summary = {f"clean_{metric}": figure for metric, figure in clean.items()}
    summary |= {"mean_error" if m == "error" else f"mean_{m}": figure for m, figure in whole.items()}
    at = {s: [name for name in corrupted if cells[name][1] == s] for s in range(1, 6)}
    return Result.model_validate(
        {
            "suite": {
                "name": "digits-c", "title": "Corrupted digits", "version": 1, "dataset": "digits", "num_classes": 10,
                "source": "generated", "complete": True, "protocol": {"suite": "digits-c", "seed": 0},
            },
            "model": {"name": model, "hash": f"{sum(map(ord, model)):064x}", "num_classes": 10, "preprocessing": {},
                      "card": {"method": model}},
            "run": {"robench": "0.1.0", "device": "cpu", "images_per_second": 1000.0, "command": "robench evaluate"},
            "statistics": {"resamples": RESAMPLES},
            "summary": summary,
            "conditions": {c: mean_of([n for n in names if cells[n][0] == c]) for c in ("clean", *CORRUPTIONS)},
            "severities": {"0": clean} | {str(s): mean_of(members) for s, members in at.items()},
            "reliability": {"clean": _reliability([kept["clean"]])}
            | {f"severity/{s}": _reliability([kept[name] for name in members]) for s, members in at.items()},
            "cells": [
                {"name": name, "condition": cells[name][0], "severity": cells[name][1], "images": 400,
                 "predictions_sha256": f"{i:064x}", "metrics": mean_of([name])}
                for i, name in enumerate(names)
            ],
        }
    )  # fmt: skip


def make(model: str = "logistic", name: str | None = None) -> Result:
    """Return the result of one of CLASSIFIERS, under another name where one is given."""
    result = _document(model).model_copy(deep=True)
    result.model.name = name or model
    return result


def comparison(a: str, b: str) -> Comparison:
    """Return the paired comparison of two classifiers, A minus B, from the same resamples."""
    first, second = _figures(a), _figures(b)
    names = list(first[0])
    differences = {}
    for i, metric in enumerate(METRICS):
        both = first[1][:, :, i] - second[1][:, :, i]
        corrupted = both[:, [j for j, name in enumerate(names) if name != "clean"]].mean(1)
        for key, column in (
            (f"clean_{metric}", both[:, names.index("clean")]),
            ("mean_error" if metric == "error" else f"mean_{metric}", corrupted),
        ):
            figure = _figure(column)
            significant = figure["low"] > 0 or figure["high"] < 0
            differences[key] = Difference(**figure, significant=significant)
    return Comparison(a=a, b=b, suite="digits-c", images=400, resamples=RESAMPLES, differences=differences, cells=[],
                      sentences=[])  # fmt: skip
