"""What a reader of a result should know beside its figures, found in the run alone."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from robench.results.schema import CellResult

_NOISE = 0.05  # of the largest logit: float noise moves logits by 1e-6 of it in float32, by about 0.01 in bfloat16
_CHANCE_FACTOR = 0.8
_CONFIDENCE = ("error", "overconfidence_gap")
_RMS_IMAGES = 200  # below, the published error has no bin but the one that it leaves out


def remarks(
    suite: Mapping[str, Any], cells: Sequence[CellResult], log: Mapping[str, list[dict[str, Any]]]
) -> list[str]:
    """Return sentences: what was left out or is missing, has too few images, or looks like a model wrongly loaded.

    Args:
        suite: the run's record of its suite.
        cells: those of the result.
        log: cell -> lines of the run's log.
    """
    measured = {cell.name for cell in cells}
    return [
        *_left_out(log),
        *_part(suite, measured),
        *_few_images(cells),
        *_near_chance(suite, cells),
        *_probabilities(suite, cells),
        *_batch_dependent(log),
    ]


def other_environments(info: Mapping[str, Any]) -> Iterator[str]:
    """Yield a sentence where a run was stopped and taken up by other code or on another device."""
    earlier = [
        f"robench {found.get('robench')}, torch {found.get('torch')}, {found.get('device')}"
        for found in info.get("earlier", [])
    ]
    if earlier:
        yield f"The record names what measured last; some cells were measured earlier with {'; '.join(earlier)}."


def _left_out(log: Mapping[str, list[dict[str, Any]]]) -> Iterator[str]:
    for cell, lines in log.items():
        count = sum(line.get("unreadable", 0) for line in lines)
        if count:
            first = next(line["unreadable_first"][0] for line in lines if line.get("unreadable"))
            noun = "picture" if count == 1 else "pictures"
            yield f"{cell}: {count:,} {noun} could not be read and were left out; the first: {first}"


def _part(suite: Mapping[str, Any], measured: set[str]) -> Iterator[str]:
    whole = suite.get("whole", suite["cells"])
    limit = suite["protocol"].get("limit")
    if limit is not None or not set(whole) <= measured:
        yield (
            f"Only a part of {suite['name']}: {sum(name in measured for name in whole)} of {len(whole)} cells"
            f"{f', at most {limit:,} images of each' if limit is not None else ''}. Means over it are not the suite's."
        )


def _few_images(cells: Sequence[CellResult]) -> Iterator[str]:
    if any(cell.images < _RMS_IMAGES and "rms_calibration_error" in cell.metrics for cell in cells):
        yield (
            f"Cells of fewer than {_RMS_IMAGES} images have no RMS calibration error by the published code, which bins "
            "by 100 and leaves the last bin out: 0 says nothing there. rms_calibration_error_all_bins sums every bin."
        )


def _near_chance(suite: Mapping[str, Any], cells: Sequence[CellResult]) -> Iterator[str]:
    errors = [cell.metrics["error"].value for cell in cells if cell.name == "clean" and "error" in cell.metrics]
    classes = suite.get("num_classes") or 0
    if classes < 2 or not errors or errors[0] is None:
        return
    chance = 1.0 - 1.0 / classes
    if errors[0] > max(0.5, _CHANCE_FACTOR * chance):
        yield (
            f"The clean error is {100 * errors[0]:.1f} %, near chance ({100 * chance:.1f} %). The likeliest "
            "cause is a wrong normalisation (--mean, --std or --norm-preset), then classes in another order, then "
            "weights that belong to another architecture."
        )


def _probabilities(suite: Mapping[str, Any], cells: Sequence[CellResult]) -> Iterator[str]:
    """Yield a sentence where the model seems to put out probabilities: softmax leaves little of their differences."""
    most = math.e / (math.e + (suite.get("num_classes") or 1) - 1)  # for a row of one 1 and zeros
    right, sure = {}, []
    for cell in cells:
        error, gap = (cell.metrics[name].value if name in cell.metrics else None for name in _CONFIDENCE)
        if error is not None and gap is not None:
            right[cell.name] = 1.0 - error
            sure.append(gap + 1.0 - error)
    best = max(right, key=right.__getitem__, default="")
    if sure and max(sure) <= most + 1e-4 and right[best] > most + 0.1:
        yield (
            f"The mean confidence is {100 * max(sure):.3g} % at most, though {100 * right[best]:.3g} % of {best} are "
            "right: the model seems to put out probabilities, and they were taken for logits. The errors hold; "
            "calibration, Brier scores and likelihoods do not. Let it return logits, or the probabilities' logarithm."
        )


def _batch_dependent(log: Mapping[str, list[dict[str, Any]]]) -> Iterator[str]:
    tried = [line["batch_noise"] for lines in log.values() for line in lines if line.get("batch_noise")]
    worst = max(tried, key=lambda noise: noise["difference"] / max(noise["largest"], 1e-12), default=None)
    if worst is not None and worst["difference"] > _NOISE * worst["largest"]:
        yield (
            f"The model's answers depend on what shares a batch, or on chance: {worst['images']} images run without "
            f"the other {worst['batch'] - worst['images']} of their batch had logits up to {worst['difference']:.3g} "
            f"apart, of up to {worst['largest']:.3g}, and {worst['changed']} another class. The figures hold for "
            f"batches of {worst['batch']} in this order; statistics of the batch, adaptation or drawn numbers do this."
        )
