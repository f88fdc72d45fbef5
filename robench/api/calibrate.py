"""``robench.calibrate(run)``: temperature or vector scaling fitted on held-out images, and what it does under shift."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from robench.api.calibration import Calibration
from robench.api.options import Place, SavedArray
from robench.api.words import both_given, one_of, place, run_place, spelled_out, whole, without_logits

if TYPE_CHECKING:
    from robench.results import Result

__all__ = ["Calibration", "calibrate"]

METHODS = ("temperature", "vector")


@spelled_out()
def calibrate(
    run: Place | Result | None = None,
    *,
    fit_on: str = "clean",
    fit_run: Place | Result | None = None,
    logits: Place | SavedArray | None = None,
    labels: Place | SavedArray | None = None,
    fit_logits: Place | SavedArray | None = None,
    fit_labels: Place | SavedArray | None = None,
    probabilities: bool = False,
    class_names: Place | Sequence[str] | None = None,
    method: str = "temperature",
    out: Place | None = None,
    resamples: int = 1000,
    seed: int = 0,
    quiet: bool = False,
) -> Calibration:
    """Fit a post-hoc calibration on held-out images of a run, and compute its metrics before and after.

    Args:
        run: folder or result of a run that kept its logits; None: ``logits`` and ``labels`` of another framework are
            taken.
        fit_on: the cell to fit on.
        fit_run: another run of the same model to fit on; None: half of every class's images in ``fit_on``, at
            random, are used for fitting. In every cell the images that the fit has seen are left out of the metrics; in
            sets of other images those with the same pixels.
        logits, labels, probabilities, class_names: as :func:`robench.api.metrics` takes them.
        fit_logits, fit_labels: of other images, to fit on; None: half of every class's rows of ``logits``, at random,
            are used for fitting, the others for the metrics.
        method: ``temperature`` or ``vector``.
        out: JSON to write; None: ``run/calibration-METHOD.json``, and nothing for ``logits``.
        resamples: bootstrap resamples of the intervals; before and after are resampled together.
        seed: of the bootstrap.
        quiet: show no progress.

    Raises:
        RobenchError: no run, no logits, a ``fit_run`` of another model, or nothing left to measure on.

    >>> import tempfile, robench
    >>> few = {"corruption": "contrast", "severity": 5, "limit": 300, "device": "cpu", "resamples": 0, "quiet": True}
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = robench.evaluate("reference:digits/standard", "digits-c", out=folder, **few)
    ...     found = robench.calibrate(folder, resamples=0, quiet=True)
    >>> found.fit_images, found.images, list(found.after)
    (152, {'clean': 148, 'contrast/5': 145}, ['clean', 'contrast/5', 'mean under shift'])
    """
    from robench.api.refitting import of_logits, of_run, scored
    from robench.evaluation import make_progress
    from robench.files import write_json

    one_of("method", method, METHODS)
    whole("resamples", resamples, least=0, most=100_000)
    whole("seed", seed, least=0, most=2**32 - 1)
    saved = (logits, labels, fit_logits, fit_labels)
    if any(one is not None for one in saved):
        words = (("run", run), ("fit_run", fit_run), ("fit_on", fit_on != "clean"))
        both_given(("logits", True, name, value) for name, value in words)
        source, default = of_logits(*saved, probabilities=probabilities, classes=class_names), None
    else:
        without_logits(probabilities, class_names)
        folder = run_place("run", run)
        source = of_run(folder, fit_on, None if fit_run is None else run_place("fit_run", fit_run))
        default = folder / f"calibration-{method}.json"
    path = default if out is None else place("out", out)
    with make_progress(f"{source.model}: {method} scaling", quiet=quiet, unit="cells") as progress:
        progress.start(len(source.images), 0)
        found = scored(source, method, resamples, seed, path, progress)
    if path is not None:
        write_json(path, found.document())
    return found
