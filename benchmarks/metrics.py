"""One pass over 50,000 x 1,000 probabilities beside scikit-learn, torchmetrics and netcal, and the paired bootstrap.

    python benchmarks/metrics.py [--images 50000] [--cells 75] [--resamples 1000] [--threads 2]

Candidates take turns and the best of several rounds counts; the values of all must agree. netcal's line is omitted
where it is not installed. The bootstrap is timed once, on cells of random columns: the usual metrics of results on
--images, every other metric on a fifth of them with logits of ten classes.
"""

from __future__ import annotations

import argparse
import importlib.util
import time
import tracemalloc
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch

from robench.catalogue import METRICS, defaults
from robench.cpu import cores
from robench.metrics import softmax
from robench.metrics.statistics import bootstrap_cells
from robench.metrics.streaming import StreamingMetrics, classification_metrics

RESULT = defaults("classification")
OTHERS = ("max_calibration_error", "adaptive_ece", "debiased_ece", "sweep_ece", "classwise_ece", "aurc", "soft_f1",
          "weighted_pr_auc")  # fmt: skip
BATCH = 500
Columns = dict[str, np.ndarray]


def race(candidates: dict[str, Callable[[], Any]], rounds: int) -> tuple[dict[str, float], dict[str, Any]]:
    """Return the best milliseconds of each candidate, which take turns, and what each returned."""
    best, found = dict.fromkeys(candidates, float("inf")), {}
    for _ in range(rounds):
        for name, candidate in candidates.items():
            began = time.perf_counter()
            found[name] = candidate()
            best[name] = min(best[name], 1e3 * (time.perf_counter() - began))
    return best, found


def library_calls(p: torch.Tensor, target: np.ndarray) -> dict[str, Callable[[], float]]:
    """Return the libraries' calls by the value and the library, all on the same probabilities (n, K)."""
    from sklearn.metrics import accuracy_score, brier_score_loss, log_loss
    from torchmetrics.classification import MulticlassCalibrationError

    values, labels, names = p.numpy(), torch.from_numpy(target), np.arange(p.shape[1])

    def torchmetrics_ece() -> float:
        metric = MulticlassCalibrationError(p.shape[1], 15, validate_args=False)
        for start in range(0, len(p), BATCH):
            metric.update(p[start : start + BATCH], labels[start : start + BATCH])
        return float(metric.compute())

    calls: dict[str, Callable[[], float]] = {
        "accuracy, scikit-learn": lambda: float(accuracy_score(target, values.argmax(1))),
        "brier, scikit-learn": lambda: float(brier_score_loss(target, values, labels=names)),
        "nll, scikit-learn": lambda: float(log_loss(target, values, labels=names)),
        "ece, torchmetrics": torchmetrics_ece,
    }
    if importlib.util.find_spec("netcal"):
        from netcal.metrics import ECE

        calls["ece, netcal"] = lambda: float(ECE(15).measure(values, target))
    return calls


def one_pass(images: int, rounds: int, classes: int = 1000) -> list[str]:
    """Return the lines of the table of accuracy, ECE, Brier score and NLL: ours, and the libraries' calls."""
    rng = np.random.default_rng(0)
    target = rng.integers(0, classes, images)
    logits = 2 * rng.normal(size=(images, classes)).astype(np.float32)
    logits[np.arange(images), target] += 5  # no probability of a target so small that scikit-learn clips it
    p = torch.from_numpy(logits).softmax(1)
    values, calls = p.numpy(), library_calls(p, target)
    for given, from_logits in ((values, False), (logits, True)):
        classification_metrics(given[:2], target[:2], logits=from_logits)  # compiles
    ours: dict[str, Callable[[], Any]] = {
        "robench, all four from probabilities": lambda: classification_metrics(values, target, logits=False),
        "robench, all four from logits": lambda: classification_metrics(logits, target, logits=True),
        f"robench, in batches of {BATCH}": lambda: streamed(values, target),
        "reading the array once (its largest value)": values.max,
    }
    best, found = race({**calls, **ours}, rounds)
    reference = next(iter(ours))
    worst = max(abs(found[name] / found[reference][name.split(",")[0]] - 1) for name in calls)
    together = sum(best[name] for name in calls)
    without = together - best.get("ece, netcal", 0.0)
    best |= {"accuracy + ECE + Brier + NLL, scikit-learn and torchmetrics": without}
    if "ece, netcal" in calls:
        best |= {"the calls of all three libraries together": together}
    lines = ["| candidate | ms | times robench's |", "| --- | ---: | ---: |"]
    lines += [f"| {name} | {ms:.1f} | {ms / best[reference]:.1f} |" for name, ms in best.items()]
    lines += ["", f"Values agree to {worst:.0e} (relative, float32 input)."]
    lines += [f"Memory that the batched pass allocates at its peak: {peak_mib(values, target):.2f} MiB."]
    return lines if "ece, netcal" in calls else [*lines, "netcal is not installed here."]


def streamed(values: np.ndarray, target: np.ndarray) -> dict[str, float]:
    """Return the values, taken batch by batch."""
    metrics = StreamingMetrics(logits=False)
    for start in range(0, len(values), BATCH):
        metrics.update(values[start : start + BATCH], target[start : start + BATCH])
    return metrics.compute()


def peak_mib(values: np.ndarray, target: np.ndarray) -> float:
    """Return the largest memory that the batched pass holds at once besides its input."""
    tracemalloc.start()
    streamed(values, target)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return peak / 2**20


def usual_cell(images: int, rng: np.random.Generator) -> Columns:
    """Return random columns for the usual metrics."""
    target = rng.integers(0, 1000, images).astype(np.int32)
    values = {name: rng.random(images, np.float32) for name in ("confidence", "nll", "brier")}
    predicted = np.where(rng.random(images) < 0.6, target, 0).astype(np.int32)
    return {"index": np.arange(images), "target": target, "predicted": predicted, **values}


def cell_with_logits(images: int, rng: np.random.Generator) -> Columns:
    """Return random columns with logits of ten classes, right in about 70 % of the images and not well calibrated."""
    logits = 2 * rng.normal(size=(images, 10)).astype(np.float32)
    p, predicted = softmax(logits), logits.argmax(1)
    target = np.where(rng.random(images) < 0.7, predicted, (predicted + 1) % 10)
    targets = (rng.random((images, 10)) < 0.2).astype(np.uint8)
    columns = {"target": target, "predicted": predicted, "confidence": p.max(1), "logits": logits, "targets": targets}
    return {"index": np.arange(images), **columns}


def seconds(cells: Sequence[Columns], metrics: Sequence[str], resamples: int) -> float:
    """Return how long the bootstrap of these metrics takes, compiled before."""
    bootstrap_cells(cells[:1], metrics, resamples=2)
    began = time.perf_counter()
    bootstrap_cells(cells, metrics, resamples=resamples)
    return time.perf_counter() - began


def bootstrap(images: int, cells: int, resamples: int) -> list[str]:
    """Return the lines of the table of bootstrap times."""
    rng, lines = (
        np.random.default_rng(0),
        ["| metrics | images | cells | resamples | s |", "| --- | ---: | ---: | ---: | ---: |"],
    )
    columns = [usual_cell(images, rng) for _ in range(cells)]
    took = seconds(columns, RESULT, resamples)
    lines.append(f"| those of a result: {', '.join(RESULT)} | {images:,} | {cells} | {resamples:,} | {took:.1f} |")
    del columns
    fewer = images // 5
    columns = [cell_with_logits(fewer, rng) for _ in range(cells)]
    for name in OTHERS:
        classes = ", ten classes" if "logits" in METRICS.get(name).needs else ""
        took = seconds(columns, (name,), resamples)
        lines.append(f"| {name}{classes} | {fewer:,} | {cells} | {resamples:,} | {took:.1f} |")
    return lines


def main() -> None:
    """Measure and print Markdown."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=50_000)
    parser.add_argument("--cells", type=int, default=75)
    parser.add_argument("--resamples", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=cores(), help="what this process may use, by default")
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    import numba

    numba.set_num_threads(min(given.threads, numba.get_num_threads()))
    print(f"{given.images:,} x 1,000 float32, {given.threads} threads, best of {given.rounds}.\n")
    print("\n".join(one_pass(given.images, given.rounds)))
    print("\nPaired bootstrap:\n")
    print("\n".join(bootstrap(given.images, given.cells, given.resamples)))


if __name__ == "__main__":
    main()
