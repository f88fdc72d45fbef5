"""``robench.conformal(run)``: sets of classes that hold the right one with a promised probability, under shift."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from robench.api.options import Place
from robench.api.words import number, one_of, place, run_place, spelled_out, whole

if TYPE_CHECKING:
    from robench.api.conformal_sets import Stratum
    from robench.metrics.conformal import Rule
    from robench.predictions import RunFolder
    from robench.results.schema import Result, Value

METHODS = ("lac", "aps", "raps")


@dataclass(frozen=True)
class Conformal:
    """A threshold found on held-out images, and what its sets are worth on every cell of a run.

    Args:
        model: the model's name.
        method: ``lac``, ``aps`` or ``raps``.
        alpha: share of sets that may miss the right class.
        penalty, kreg: of ``raps``; None for the others.
        threshold: largest score of a class in a set.
        below_one: one minus the threshold, also where the threshold rounds to 1.
        run, cell, fit_images: what the threshold was found on.
        images: cell -> number of images that its values are of; none of them was used for the threshold.
        expected: 95 % range of the coverage of ``cell``'s other images, had the threshold been found on other images
            of the same kind.
        resamples, seed: of the bootstrap, with the threshold as it is.
        values: cell, ``severity/N`` or ``mean under shift`` -> metric -> value with its 95 % interval.
        strata: cell -> the strata of set sizes that have images; empty where sizes are not known.
        notes: what to know before these values are used.
        path: where the document was written.
    """

    model: str
    method: str
    alpha: float
    penalty: float | None
    kreg: int | None
    threshold: float
    below_one: float
    run: str
    cell: str
    fit_images: int
    images: dict[str, int]
    expected: tuple[float, float]
    resamples: int
    seed: int
    values: dict[str, dict[str, Value]] = field(repr=False)
    strata: dict[str, tuple[Stratum, ...]] = field(repr=False)
    notes: list[str]
    path: Path

    def document(self) -> dict[str, Any]:
        """Return what is written to :attr:`path`, as a JSON-able document."""
        return {
            "kind": "robench-conformal",
            "model": self.model,
            "method": self.method,
            "alpha": self.alpha,
            "penalty": self.penalty,
            "kreg": self.kreg,
            "threshold": self.threshold,
            "one_minus_threshold": self.below_one,
            "fitted_on": {"run": self.run, "cell": self.cell, "images": self.fit_images},
            "images": self.images,
            "expected_coverage": list(self.expected),
            "resamples": self.resamples,
            "seed": self.seed,
            "values": {
                group: {
                    name: {key: one for key, one in value.model_dump().items() if key == "value" or one is not None}
                    for name, value in found.items()
                }
                for group, found in self.values.items()
            },
            "strata": {
                cell: [
                    {"low": one.low, "high": one.high, "images": one.images, "coverage": one.coverage} for one in found
                ]
                for cell, found in self.strata.items()
            },
            "notes": self.notes,
        }


@spelled_out()
def conformal(
    run: Place | Result,
    *,
    alpha: float = 0.1,
    method: str = "lac",
    penalty: float | None = None,
    kreg: int | None = None,
    fit_on: str = "clean",
    fit_run: Place | Result | None = None,
    out: Place | None = None,
    resamples: int = 1000,
    seed: int = 0,
) -> Conformal:
    """Find a split conformal threshold on held-out images of a run, and measure its sets on every cell.

    Args:
        run: a run's folder or result; the sizes of sets need its logits (``robench.evaluate(keep_logits="yes")``), the
            coverage does not.
        alpha: share of sets that may miss the right class, in (0, 1).
        method: ``lac``, ``aps`` or ``raps``; see :mod:`robench.metrics.conformal`.
        penalty: of ``raps``, for every rank beyond ``kreg``; None: 0.01.
        kreg: of ``raps``, ranks without a penalty; None: 5.
        fit_on: the cell to find the threshold on.
        fit_run: another run of the same model for that; None: half of every class's images in ``fit_on``, at random,
            are used. In every cell the images that were used are left out of the values; in sets of other images those
            with the same pixels.
        out: JSON to write; None: ``run/conformal-METHOD-ALPHA.json``, with ``penalty``, ``kreg``, ``fit_on`` and the
            name of ``fit_run`` in its name where they are given.
        resamples: bootstrap resamples of the intervals, which are for new images at this threshold.
        seed: of the bootstrap.

    Raises:
        RobenchError: no run, one of an earlier version, a ``fit_run`` of another model, fewer held-out images than
            alpha needs, or options of another method.

    >>> import tempfile, robench
    >>> few = {"corruption": "contrast", "severity": 5, "limit": 300, "device": "cpu", "resamples": 0, "quiet": True}
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = robench.evaluate("reference:digits/standard", "digits-c", out=folder, **few)
    ...     found = robench.conformal(folder, alpha=0.1, resamples=0)
    >>> found.fit_images, list(found.values), found.values["clean"]["conformal_coverage"].value > 0.8
    (152, ['clean', 'contrast/5', 'severity/5', 'mean under shift'], True)
    """
    from robench.api.conformal_sets import expected_coverage, measured, notes_of, rule_of, used, values_of
    from robench.api.held_out import Seen, check, fit_folder
    from robench.files import write_json
    from robench.metrics.conformal import below_one, published, target_scores, threshold
    from robench.predictions import RunFolder
    from robench.results.halves import fit_half_of
    from robench.results.same_images import cells_like, unchecked

    alpha = number("alpha", alpha, above=0.0, below=1.0)
    one_of("method", method, METHODS)
    rule = rule_of(method, penalty, kreg)
    whole("resamples", resamples, least=0, most=100_000)
    whole("seed", seed, least=0, most=2**32 - 1)
    folder = RunFolder.open(run_place("run", run))
    fitted = folder if fit_run is None else fit_folder(folder, run_place("fit_run", fit_run))
    folder.refuse_damaged()
    check(fitted, fit_on)
    half = fit_half_of(folder, cells_like(folder, fit_on)) if fit_run is None else None
    held_out = used(fitted, fit_on, alpha, half)
    limit = threshold(target_scores(held_out, rule), alpha)
    cells = measured(folder, Seen.of(folder, fitted, fit_on, half), rule, limit)
    images = {name: len(columns["index"]) for name, columns in cells.items()}
    values, strata = values_of(folder, cells, fit_on, resamples, seed)
    found = Conformal(
        model=folder.record.model.name,
        method=method,
        alpha=alpha,
        penalty=rule.penalty if method == "raps" else None,
        kreg=rule.kreg if method == "raps" else None,
        threshold=float(published(limit, rule)),
        below_one=below_one(limit, rule),
        run=str(fitted.path),
        cell=fit_on,
        fit_images=len(held_out["index"]),
        images=images,
        expected=expected_coverage(len(held_out["index"]), alpha, images.get(fit_on, min(images.values()))),
        resamples=resamples,
        seed=seed,
        values=values,
        strata=strata,
        notes=[*unchecked(folder, fitted), *notes_of(folder, cells, method)],
        path=folder.path / _file_name(rule, alpha, fit_on, fitted, folder) if out is None else place("out", out),
    )
    write_json(found.path, found.document())
    return found


def _file_name(rule: Rule, alpha: float, fit_on: str, fitted: RunFolder, folder: RunFolder) -> str:
    """Return a name that tells documents of one run apart: ``conformal-lac-0.1.json``."""
    from robench.metrics.conformal import Rule

    usual = Rule(rule.method)
    parts = [rule.method, f"{alpha:g}"]
    parts += [f"penalty-{rule.penalty:g}"] if rule.penalty != usual.penalty else []
    parts += [f"kreg-{rule.kreg}"] if rule.kreg != usual.kreg else []
    parts += [f"on-{fit_on.replace('/', '-')}"] if fit_on != "clean" else []
    parts += [f"of-{fitted.path.resolve().name}"] if fitted.path != folder.path else []
    return f"conformal-{'-'.join(parts)}.json"
