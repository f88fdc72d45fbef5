"""Fourier sensitivity: the error under every basis vector U_ij of the 2-d Fourier basis.

A point of the map is the error on clip(x + r v U_ij, 0, 1), images x in [0, 1], v the norm per channel, r = +-1 drawn
for every image and channel. A frequency and its mirror have the same U_ij, so only one of the two is measured.

Source: Yin et al. 2019, section 3. With random signs google-research's ``freq_heatmap.py`` omits v; here it is always
applied.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from robench.cpu import keep_to_quota, kept_memory
from robench.evaluation.fourier_basis import Frequency, basis_vector, centred_range, frequencies, mirror
from robench.evaluation.fourier_classifier import Classifier
from robench.evaluation.fourier_options import FourierOptions, check_images
from robench.evaluation.fourier_sample import FIRST, Drawing, Goal, Tally
from robench.evaluation.fourier_state import MapState
from robench.evaluation.probe import IMAGES, repeatable
from robench.evaluation.progress import Progress, QuietProgress
from robench.files import digest
from robench.models.base import Model

__all__ = [
    "Classifier",
    "FourierOptions",
    "check_images",
    "error_under",
    "fourier_map",
    "perturbation_of",
    "wrong_under",
]


def fourier_map(
    model: Model,
    images: torch.Tensor,
    target: npt.NDArray[np.int64],
    options: FourierOptions,
    *,
    state: Path | None = None,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Measure the error under every basis vector and return the document that plots read.

    Args:
        model: the model.
        images: uint8, shape (n, 3, H, W).
        target: int64 labels, shape (n,).
        options: norm, signs, precision.
        state: file in which finished frequencies are kept; those that it holds are not run again.
        progress: shows the progress.

    Returns:
        ``kind`` robench-fourier, ``model``, ``size`` (rows of the map), ``norm``, ``error`` (rows of fractions, low
        frequencies in the centre), ``clean_error``, ``images``, ``options`` as they were carried out
        (:attr:`Classifier.options`). With ``within`` also that, ``half_width`` (rows of fractions, of the 95 % interval
        for the error over all images), ``passes``, and ``of``, those of the whole map.

    Raises:
        RobenchError: no images, a norm that is not positive, a model that fails on them, or a state of another model,
            data set or set of options.
    """
    check_images(images, target, options)
    size = (int(images.shape[2]), int(images.shape[3]))
    classify = Classifier(model, options)
    labels = torch.as_tensor(target).to(options.device)
    shown = images.to(options.device)
    identity = digest({"model": model.hash, "options": _identity(options), "data": _data_digest(images, target)})
    probe = [classify.logits(shown[:IMAGES].float() / 255.0) for _ in range(2)]
    kept = MapState(state, identity, repeatable(probe, options.precision, options.device))
    keep_to_quota()
    with progress or QuietProgress() as bar, kept_memory(options.device):
        right = ~wrong_under(classify, shown, labels, options, None)
        goal = Goal(right.cpu().numpy(), options.within, Drawing(len(images), options.seed))

        def more(frequency: Frequency) -> Tally:
            def wrong_on(chosen: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
                every = np.array_equal(chosen, np.arange(len(images)))  # in their order: no copy is made
                rows = slice(None) if every else torch.from_numpy(chosen).to(options.device)
                perturbation = perturbation_of(frequency, size, options, len(images), chosen)
                return wrong_under(classify, shown[rows], labels[rows], options, perturbation).cpu().numpy()

            known = kept.done.get(_key(frequency), Tally())
            return goal.measure(known, frequency[0] * size[1] + frequency[1], wrong_on)

        try:
            _measure_all(list(frequencies(size, options.window)), kept, goal, more, bar)
        finally:
            kept.write()
    return {"kind": "robench-fourier", "model": model.name} | _document(kept, goal, size, options, classify.options)


def _measure_all(
    wanted: list[Frequency], kept: MapState, goal: Goal, more: Callable[[Frequency], Tally], progress: Progress
) -> None:
    """Measure the frequencies that are not finished; a sampled map's passes are reckoned from those so far."""
    left = [frequency for frequency in wanted if not goal.met(kept.done.get(_key(frequency), Tally()))]
    each = float(2 * FIRST if goal.within else len(goal.right_before))
    finished, passes = len(wanted) - len(left), 0
    progress.start(round(len(wanted) * each), round(finished * each))
    for number, frequency in enumerate(left, 1):
        before = kept.done.get(_key(frequency), Tally()).measured
        found = more(frequency)
        kept.add(_key(frequency), found)
        passes += found.measured - before
        progress.advance(found.measured - before, f"frequency {_key(frequency)}")
        if goal.within and number % max(1, len(wanted) // 8) == 0:
            each = passes / number
            progress.start(round(len(wanted) * each), round((finished + number) * each))


def _document(
    kept: MapState, goal: Goal, size: Frequency, options: FourierOptions, carried_out: dict[str, Any]
) -> dict[str, Any]:
    tallies, images = kept.done, len(goal.right_before)
    error = _whole_map({key: tally.error(goal.of) for key, tally in tallies.items()}, size, options.window)
    found = {
        "size": len(error),
        "norm": options.norm,
        "error": error.tolist(),
        "clean_error": goal.of[1] / images,
        "images": images,
        "options": carried_out,
    }
    if options.within is None:
        return found
    widths = _whole_map({key: tally.half_width(goal.of) for key, tally in tallies.items()}, size, options.window)
    wanted = list(frequencies(size, options.window))
    return found | {
        "within": options.within,
        "half_width": widths.tolist(),
        "passes": sum(tallies[_key(frequency)].measured for frequency in wanted),
        "of": len(wanted) * images,
    }


def perturbation_of(
    frequency: Frequency,
    size: Frequency,
    options: FourierOptions,
    count: int,
    chosen: npt.NDArray[np.int64] | None = None,
) -> Callable[[int, int], torch.Tensor]:
    """Return a function from image numbers start..stop to their perturbations, float32, shape (n, 3, H, W).

    Args:
        frequency: position in the centred map.
        size: height and width of the map.
        options: norm, signs and seed.
        count: number of images; the signs of an image do not depend on it.
        chosen: numbers of the images that start and stop count; None: all, in their order.
    """
    wave = torch.from_numpy(options.norm * basis_vector(frequency, size)).float().to(options.device)

    rng = np.random.Generator(np.random.Philox(key=[options.seed, frequency[0] * size[1] + frequency[1]]))
    drawn = 2.0 * rng.integers(0, 2, (count, 3)) - 1.0 if options.signs else np.ones((count, 3))
    drawn = drawn if chosen is None else drawn[chosen]
    signs = torch.from_numpy(drawn).float().to(options.device)[:, :, None, None]

    def of(start: int, stop: int) -> torch.Tensor:
        return signs[start:stop] * wave

    return of


def error_under(
    classify: Classifier,
    images: torch.Tensor,
    labels: torch.Tensor,
    options: FourierOptions,
    perturbation: Callable[[int, int], torch.Tensor] | None,
) -> float:
    """Return the error on images with a perturbation, a fraction in [0, 1]; see :func:`wrong_under`."""
    return float(wrong_under(classify, images, labels, options, perturbation).double().mean())


def wrong_under(
    classify: Classifier,
    images: torch.Tensor,
    labels: torch.Tensor,
    options: FourierOptions,
    perturbation: Callable[[int, int], torch.Tensor] | None,
) -> torch.Tensor:
    """Return which images are answered wrongly under a perturbation.

    Args:
        classify: the model.
        images: uint8, shape (n, 3, H, W), on the options' device.
        labels: int64, shape (n,), there too.
        options: the batch size.
        perturbation: as of :func:`perturbation_of`; None: none.

    Returns:
        bool, shape (n,), there too.
    """
    wrong = torch.empty(len(images), dtype=torch.bool, device=labels.device)
    step = options.images_at_a_time
    for start in range(0, len(images), step):
        x = images[start : start + step].float() / 255.0
        if perturbation is not None:
            x = x.add(perturbation(start, start + len(x))).clamp_(0, 1)
        wrong[start : start + len(x)] = classify(x) != labels[start : start + len(x)]
    return wrong


def _whole_map(done: dict[str, float], size: Frequency, window: int | None) -> npt.NDArray[np.float64]:
    rows, columns = centred_range(size[0], window), centred_range(size[1], window)
    out = np.empty((len(rows), len(columns)))
    for a, i in enumerate(rows):
        for b, j in enumerate(columns):
            own = _key((i, j))
            out[a, b] = done[own if own in done else _key(mirror((i, j), size))]
    return out


def _key(frequency: Frequency) -> str:
    return f"{frequency[0]},{frequency[1]}"


def _identity(options: FourierOptions) -> dict[str, Any]:
    """Return the options that change errors."""
    names = ("norm", "signs", "seed", "precision", "fold", "channels_last", "compile")
    return {name: getattr(options, name) for name in names}


def _data_digest(images: torch.Tensor, target: npt.NDArray[np.int64]) -> str:
    return hashlib.sha256(images.cpu().contiguous().numpy().tobytes() + np.asarray(target).tobytes()).hexdigest()
