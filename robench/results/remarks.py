"""Warnings that a reader of a result needs, found in the run alone."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from robench.catalogue import metric
from robench.metrics.weighted import correct
from robench.predictions import AttackCheck, BatchCheck, CellNotes, ModelInfo, Predictions, RunRecord, SuiteInfo
from robench.results.protocols import clean_condition, counted, protocol_of_run
from robench.results.schema import CellResult, SampledRecord

_CHANCE_FACTOR = 0.8
_CHANCE_FACTOR_OF_SEVERE = 0.95  # a good model may fail on most images of severity 2 and more
_FLAT_SHARE = 0.05
_BEYOND_BOUND = 0.1


def remarks(
    suite: SuiteInfo,
    cells: Sequence[CellResult],
    predictions: Mapping[str, Predictions],
    sampled: SampledRecord | None = None,
) -> list[str]:
    """Return sentences: what was omitted or is missing, has too few images, or looks like a model loaded wrongly.

    Args:
        suite: the run's record of its suite.
        cells: those of the result.
        predictions: by cell; those of an earlier version have no notes.
        sampled: how much was measured, where cells lack images.
    """
    notes = {name: found.notes for name, found in predictions.items()}
    known = {name: note for name, note in notes.items() if note is not None}
    return [
        *_omitted(known),
        *_uncounted(suite, notes),
        *_sampled(suite, sampled),
        *_part(suite, {cell.name for cell in cells}),
        *_few_images(cells, sampled),
        *_near_chance(suite, cells, predictions),
        *_probabilities(suite, known),
        *_without_scale(suite, predictions),
        *_batch_dependent(known),
        *_masked_gradients(known),
    ]


def without_normalisation(model: ModelInfo) -> Iterator[str]:
    """Yield a sentence where nothing said how the model's images are normalised, or those of an ensemble's member."""
    members = model.card.get("members", []) if model.preprocessing.get("origin") == "ensemble" else []
    lacking = [member["name"] for member in members if _lacks_normalisation(member["preprocessing"], member["card"])]
    if lacking:
        yield (
            f"No normalisation was given for {', '.join(lacking)} of this ensemble: images in [0, 1]. If it was trained"
            " on normalised ones, errors are too large: set `mean` and `std`, or `norm_preset`."
        )
    if _lacks_normalisation(model.preprocessing, model.card):
        yield (
            "No normalisation was given: the model saw images in [0, 1]. If it was trained on normalised images, its "
            "errors are too large: set `mean` and `std`, or `norm_preset` ('none' says that none is meant)."
        )


def _lacks_normalisation(preprocessing: Mapping[str, Any], card: Mapping[str, Any]) -> bool:
    return preprocessing.get("origin") == "default" and not card.get("normalises")


def normalised_twice(model: ModelInfo) -> Iterator[str]:
    """Yield a sentence where images are normalised for a model, or an ensemble's member, that does so itself."""
    members = model.card.get("members", []) if model.preprocessing.get("origin") == "ensemble" else []
    named = [(member["name"], member["preprocessing"], member["card"]) for member in members]
    for name, preprocessing, card in named or [(model.name, model.preprocessing, model.card)]:
        mean, inside = preprocessing.get("mean"), card.get("normalises")
        if inside and mean is not None and any(mean):
            yield (
                f"{name} seems to normalise its images itself (it has '{inside}'), and they were normalised before as"
                " well: errors may be far too large. Omit `mean`, `std` and `norm_preset`, or set `norm_preset='none'`."
            )


def matched_by_position(model: ModelInfo) -> Iterator[str]:
    """Yield a sentence where the names of the model's classes and of the data's have nothing in common."""
    how = str(model.card.get("class_order", ""))
    if how.startswith("by position: the model's"):
        yield (
            f"No class of the data has a name of the model's; they were matched {how}. If their orders differ, all "
            "numbers are wrong: give the class folders the model's names."
        )


def order_dependent(cells: Sequence[CellResult], predictions: Mapping[str, Predictions]) -> Iterator[str]:
    """Yield a sentence where the published RMS calibration error depends on the order of the images."""
    from robench.metrics.calibration import rms_depends_on_order

    name = "rms_calibration_error"
    defined = [cell.name for cell in cells if name in cell.metrics and cell.metrics[name].value is not None]
    columns = {cell: predictions[cell].columns() for cell in defined}
    found = [cell for cell, of in columns.items() if rms_depends_on_order(of["confidence"], correct(of))]
    if found:
        shown = ", ".join(found[:3]) + (f" and {len(found) - 3} more" if len(found) > 3 else "")
        yield (
            f"{shown}: a bin of the RMS calibration error as published cuts through images of equal confidence, so its "
            "value depends on their order. The other calibration errors do not."
        )


def counts_unreadable(suite: SuiteInfo, notes: Mapping[str, CellNotes | None]) -> bool:
    """Return whether it is known how many images could not be read: earlier versions had the number in a log alone."""
    return not suite.protocol.get("skip_corrupt") or None not in notes.values()


def other_environments(record: RunRecord) -> Iterator[str]:
    """Yield a sentence where a run was stopped and taken up by other code or on another device."""
    earlier = [f"robench {found.robench}, torch {found.torch}, {found.device}" for found in record.earlier]
    if earlier:
        yield f"The record names what measured last; some cells were measured earlier with {'; '.join(earlier)}."


def _omitted(notes: Mapping[str, CellNotes]) -> Iterator[str]:
    for cell, found in notes.items():
        if count := found.unreadable:
            noun = "image" if count == 1 else "images"
            first = f"; the first: {found.unreadable_first[0]}" if found.unreadable_first else ""
            yield f"{cell}: {count:,} {noun} could not be read and {'was' if count == 1 else 'were'} omitted{first}"


def _uncounted(suite: SuiteInfo, notes: Mapping[str, CellNotes | None]) -> Iterator[str]:
    if not counts_unreadable(suite, notes):
        yield (
            "Unreadable images were omitted (skip_corrupt) by an earlier version of robench, which did not keep their"
            " number with the predictions: it is not known how many there were."
        )


def _sampled(suite: SuiteInfo, sampled: SampledRecord | None) -> Iterator[str]:
    if sampled is not None:
        noun, what = ("frames", "clips") if counted(suite.task) == "clips" else ("images", "images")
        control = (
            f" Values are corrected by {sampled.control}, as far as the two go together." if sampled.control else ""
        )
        yield (
            f"Sampled: {sampled.passes:,} of {sampled.of:,} {noun}. Intervals named full run are for what all {what}"
            f" would give; the others are for new {what}.{control}"
        )


def _part(suite: SuiteInfo, measured: set[str]) -> Iterator[str]:
    if suite.limit is not None or not set(suite.whole) <= measured:
        limit = f", {suite.limit:,} {counted(suite.task)} per cell (limit)" if suite.limit is not None else ""
        yield (
            f"Partial run: {sum(name in measured for name in suite.whole)} of {len(suite.whole)} cells{limit}. "
            f"Do not report its means as results on {suite.name}."
        )


def _few_images(cells: Sequence[CellResult], sampled: SampledRecord | None) -> Iterator[str]:
    least, unbiased = (found := metric("rms_calibration_error")).minimum_images, found.sampled_images
    few = [cell for cell in cells if "rms_calibration_error" in cell.metrics and cell.images < unbiased]
    if sampled is not None and few:
        yield (
            f"Calibration errors of a sample are given in the debiased form from {least} images per cell on "
            f"(`limit={least}`), in the published form from {unbiased:,} on: on fewer they would be biased."
        )
    elif any(cell.images < least and "rms_calibration_error" in cell.metrics for cell in cells):
        yield (
            f"rms_calibration_error is undefined with fewer than {least} images per cell, as the published code sums "
            "bins of 100 without the last; use rms_calibration_error_all_bins."
        )


def _near_chance(
    suite: SuiteInfo, cells: Sequence[CellResult], predictions: Mapping[str, Predictions]
) -> Iterator[str]:
    """Yield a sentence where even the mildest images are hardly told apart: clean ones, else those of least error.

    Labels of sequences count too, though no value of theirs needs them. Attacked images are meant to be misclassified.
    """
    classes = _classes(suite)
    rows = {cell.name: predictions[cell.name] for cell in cells}
    errors = {
        name: float((found.predicted != found.target)[found.target >= 0].mean())
        for name, found in rows.items()
        if (found.target >= 0).any() and not (found.notes is not None and found.notes.attack is not None)
    }
    if classes < 2 or not errors:
        return
    chance, clean = 1.0 - 1.0 / classes, clean_condition(protocol_of_run(suite))
    mildest = clean if clean in errors else min(errors, key=lambda name: errors[name])
    severity = next(cell.severity for cell in cells if cell.name == mildest)
    factor = _CHANCE_FACTOR if severity in (None, 1) else _CHANCE_FACTOR_OF_SEVERE
    if errors[mildest] <= max(0.5, factor * chance):
        return
    what = "The clean error" if mildest == clean else f"The least error of a cell ({mildest})"
    unless = "The" if mildest == clean else "Unless these images are meant to be that hard, the"
    batches = _worst_batch(notes for found in rows.values() if (notes := found.notes) is not None)
    first = "a wrong normalisation (`mean` and `std`, or `norm_preset`)"
    if batches is not None:
        first = f"a network in training mode, whose batch statistics are those of its test batches, or {first}"
    yield (
        f"{what} is {100 * errors[mildest]:.1f} %, near chance ({100 * chance:.1f} %). {unless} likeliest cause is "
        f"{first}, then classes in another order, then weights that belong to another architecture."
    )


def _classes(suite: SuiteInfo) -> int:
    """Return in how many classes labels count: those of a list that logits are cut to or joined in, else all."""
    from robench.suites.subsets import SUBSETS
    from robench.suites.superclasses import SUPERCLASSES

    fewer = SUBSETS.get(suite.subset or "") or SUPERCLASSES.get(suite.subset or "")
    return len(fewer) if fewer else suite.num_classes


def _probabilities(suite: SuiteInfo, notes: Mapping[str, CellNotes]) -> Iterator[str]:
    """Yield a sentence where what the model puts out cannot be logits: a softmax of it leaves little of it."""
    checks = [found.outputs for found in notes.values() if found.outputs is not None]
    scaled = all(check.share_a_sum for check in checks)
    if suite.task != "classification" or not checks or not (scaled or all(check.in_unit_interval for check in checks)):
        return
    rows = sum(check.images for check in checks)
    if scaled:
        found = f"All {rows:,} rows of the model's outputs seem to be scaled probabilities: none negative, one sum."
    elif all(check.sums_to_one for check in checks):
        found = f"All {rows:,} rows of the model's outputs are probabilities: in [0, 1], with a sum of 1."
    else:
        found = f"All outputs of the model lie in [0, 1], in {rows:,} rows: it seems to end in a sigmoid."
    yield (
        f"{found} They were taken for logits. The errors hold; calibration, Brier scores and likelihoods do not. Let it"
        " return logits, or the logarithm of its probabilities."
    )


def _without_scale(suite: SuiteInfo, predictions: Mapping[str, Predictions]) -> Iterator[str]:
    """Yield a sentence where outputs from -1 to 1 are right far more often than a softmax of such can say."""
    checks = [found.notes.outputs if found.notes is not None else None for found in predictions.values()]
    if suite.task != "classification" or not all(check is not None and check.about_zero for check in checks):
        return
    right = {
        name: float((found.predicted == found.target)[found.target >= 0].mean())
        for name, found in predictions.items()
        if (found.target >= 0).any()
    }
    # One logit at 1, all others at -1.
    bound = math.exp(2.0) / (math.exp(2.0) + max(_classes(suite), 2) - 1)
    best = max(right, key=lambda name: right[name], default=None)
    if best is not None and right[best] > bound + _BEYOND_BOUND:
        yield (
            f"All outputs of the model lie in [-1, 1]: they seem to be cosines, or to end in tanh, without the scale"
            f" that makes logits of them. No confidence can exceed {100 * bound:.1f} %, and {100 * right[best]:.1f} %"
            f" of the answers of {best} are right. The errors hold; calibration, Brier scores and likelihoods do not."
            " Let it return logits."
        )


def _batch_dependent(notes: Mapping[str, CellNotes]) -> Iterator[str]:
    worst = _worst_batch(notes.values())
    if worst is None:
        return
    others = f"without the other {worst.batch - worst.images} of their batch"
    alone = f"{worst.images} images run {others}" if worst.batch > 1 else "an image run together with another"
    yield (
        f"The model's outputs depend on what shares a batch, or on chance: {alone} had logits up to"
        f" {100 * worst.difference:.3g} % of the largest apart, and {worst.changed} another class. The results hold for"
        f" batches of {worst.batch} in this order; batch statistics, adaptation or random numbers do this."
    )


def _worst_batch(notes: Iterable[CellNotes]) -> BatchCheck | None:
    """Return the check of the cell whose predictions depended most on the batch; None: none did."""
    tried = [found.batch for found in notes if found.batch is not None and found.batch.difference > 0.0]
    return max(tried, key=lambda check: check.difference, default=None)


def _masked_gradients(notes: Mapping[str, CellNotes]) -> Iterator[str]:
    """Yield what the checks of an attack found: signs that gradients are masked, or that there were none."""
    checks = {cell: found.attack for cell, found in notes.items() if found.attack is not None}
    if not checks:
        return
    signs = [f"{cell}: {sign}" for cell, check in checks.items() for sign in _signs(check)]
    surrogates = sorted({check.surrogate for check in checks.values() if check.surrogate})
    tried = ["images without a gradient"]
    tried += ["twice the steps"] if any(check.more_steps for check in checks.values()) else []
    tried += [f"black-box images of {' and '.join(surrogates)}"] if surrogates else []
    of = max(check.images for check in checks.values())
    untried = "" if surrogates else " Black-box images were not tried; `surrogate` names a model to find them on."
    if signs:
        yield (
            f"Signs of masked gradients ({of} images per cell, {', '.join(tried)}): {'; '.join(signs)}. The model's"
            f" error under attack is likely larger.{untried}"
        )
    else:
        yield f"No sign of masked gradients ({of} images per cell: {', '.join(tried)}).{untried}"


def _signs(check: AttackCheck) -> Iterator[str]:
    if check.without_gradient > _FLAT_SHARE * check.images:
        yield f"{check.without_gradient} of {check.images} images have no gradient"
    slack = 1.0 / check.images  # rounding, and steps that end elsewhere, move an image at times
    if check.more_steps and check.more_error < check.error - slack:
        yield f"{check.more_steps} steps give {check.more_error:.1%} error, half of them {check.error:.1%}"
    if check.surrogate and check.transfer_error > check.error + slack:
        yield f"images of {check.surrogate} give {check.transfer_error:.1%} error, the model's own {check.error:.1%}"
