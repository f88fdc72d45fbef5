"""One pass over 50,000 x 1,000 probabilities beside scikit-learn and torchmetrics, and the paired bootstrap.

    python benchmarks/metrics.py [--images 50000] [--cells 75] [--resamples 1000]

Candidates take turns and the best of several rounds counts. The bootstrap is timed once, on cells of random columns.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from robench.metrics.statistics import bootstrap_cells
from robench.metrics.streaming import classification_figures

METRICS = ("error", "rms_calibration_error", "rms_calibration_error_all_bins", "ece", "brier", "nll")


def race(candidates: dict[str, Callable[[], Any]], rounds: int = 3) -> dict[str, float]:
    """Return the best milliseconds of each candidate, which take turns."""
    best = dict.fromkeys(candidates, float("inf"))
    for _ in range(rounds):
        for name, candidate in candidates.items():
            began = time.perf_counter()
            candidate()
            best[name] = min(best[name], 1e3 * (time.perf_counter() - began))
    return {name: round(value, 1) for name, value in best.items()}


def one_pass(images: int, classes: int = 1000) -> dict[str, float]:
    """Accuracy, ECE, Brier score and NLL: ours, and the libraries' calls."""
    from sklearn.metrics import accuracy_score, brier_score_loss, log_loss
    from torchmetrics.functional.classification import multiclass_calibration_error

    rng = np.random.default_rng(0)
    target = rng.integers(0, classes, images)
    logits = rng.normal(size=(images, classes)).astype(np.float32) * 3
    p = torch.from_numpy(logits).softmax(1)
    probabilities, labels, names = p.numpy(), torch.from_numpy(target), np.arange(classes)
    for values, is_logits in ((probabilities, False), (logits, True)):
        classification_figures(values[:2], target[:2], logits=is_logits)  # compiles

    def libraries() -> None:
        accuracy_score(target, probabilities.argmax(1))
        for start in range(0, images, 500):
            multiclass_calibration_error(p[start : start + 500], labels[start : start + 500], classes, 15)
        brier_score_loss(target, probabilities, labels=names)
        log_loss(target, probabilities, labels=names)

    found = race(
        {
            "ours, from probabilities": lambda: classification_figures(probabilities, target, logits=False),
            "ours, from logits": lambda: classification_figures(logits, target, logits=True),
            "scikit-learn and torchmetrics": libraries,
            "read once (max)": probabilities.max,
        }
    )
    found["times faster"] = round(found["scikit-learn and torchmetrics"] / found["ours, from probabilities"], 1)
    return found


def bootstrap(images: int, cells: int, resamples: int) -> dict[str, float]:
    """Seconds of the paired bootstrap of the usual metrics."""
    rng = np.random.default_rng(0)

    def cell() -> dict[str, np.ndarray]:
        target = rng.integers(0, 1000, images).astype(np.int32)
        values = {name: rng.random(images, np.float32) for name in ("confidence", "nll", "brier")}
        predicted = np.where(rng.random(images) < 0.6, target, 0).astype(np.int32)
        return {"index": np.arange(images), "target": target, "predicted": predicted, **values}

    columns = [cell() for _ in range(cells)]
    bootstrap_cells(columns[:1], METRICS, resamples=2)  # compiles
    began = time.perf_counter()
    bootstrap_cells(columns, METRICS, resamples=resamples)
    return {"images": images, "cells": cells, "resamples": resamples, "seconds": round(time.perf_counter() - began, 1)}


def main() -> None:
    """Measure and print JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=50_000)
    parser.add_argument("--cells", type=int, default=75)
    parser.add_argument("--resamples", type=int, default=1000)
    given = parser.parse_args()
    torch.set_num_threads(2)
    found = {"one pass, ms": one_pass(given.images)}
    found["bootstrap"] = bootstrap(given.images, given.cells, given.resamples)
    print(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
