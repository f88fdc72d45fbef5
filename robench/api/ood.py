"""``robench.ood(run, near=..., far=...)``: how well a model's confidence tells foreign images from its own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from robench.api.ood_sets import clean_of, foreign_sets, own_predictions
from robench.api.options import Place, Places
from robench.api.words import place, run_place, spelled_out, whole
from robench.errors import RobenchError

if TYPE_CHECKING:
    from robench.predictions import Predictions, RunFolder
    from robench.results.schema import Result, Value

GROUPS = ("near", "far")


@dataclass(frozen=True)
class OutlierSet:
    """One set of foreign images and how well they are found.

    Args:
        group: ``near`` or ``far``.
        run, cell: where its predictions are.
        images: how many.
        shared: how many of them are pixel for pixel among the in-distribution images.
        values: metric -> value with its 95 % interval.
    """

    group: str
    run: str
    cell: str
    images: int
    shared: int
    values: dict[str, Value] = field(repr=False)


@dataclass(frozen=True)
class Detection:
    """How well the scores of one model find foreign images.

    Args:
        model: the model's name.
        run, cell, images: of the in-distribution images.
        sets: name -> set.
        groups: ``near`` and ``far``, where there are such sets: metric -> mean over the group's sets.
        resamples, seed: of the bootstrap, which draws both kinds of images anew.
        path: where the document was written.
    """

    model: str
    run: str
    cell: str
    images: int
    sets: dict[str, OutlierSet]
    groups: dict[str, dict[str, Value]] = field(repr=False)
    resamples: int
    seed: int
    path: Path

    @property
    def notes(self) -> list[str]:
        """What a reader should know of the sets."""
        return [
            f"{name}: {one.shared:,} of {one.images:,} images are among the in-distribution images too."
            for name, one in self.sets.items()
            if one.shared
        ]

    def document(self) -> dict[str, Any]:
        """Return what is written to :attr:`path`, as a JSON-able document."""
        return {
            "kind": "robench-ood",
            "model": self.model,
            "run": self.run,
            "cell": self.cell,
            "images": self.images,
            "resamples": self.resamples,
            "seed": self.seed,
            "sets": {
                name: {
                    "group": one.group,
                    "run": one.run,
                    "cell": one.cell,
                    "images": one.images,
                    "shared": one.shared,
                    "values": _plain(one.values),
                }
                for name, one in self.sets.items()
            },
            "groups": {name: _plain(values) for name, values in self.groups.items()},
            "notes": self.notes,
        }


@spelled_out()
def ood(
    run: Place | Result,
    *,
    near: Places | None = None,
    far: Places | None = None,
    cell: str | None = None,
    out: Place | None = None,
    resamples: int = 1000,
    seed: int = 0,
) -> Detection:
    """Score how well confidence tells out-of-distribution images from those of a run, from stored predictions.

    Args:
        run: a run, its folder or its result, of the model on images of its own classes.
        near, far: folders of runs of the same model on foreign images (``robench.evaluate(model, "ood:FOLDER")``,
            ``imagenet-o``): one, several, or a mapping from a name to a folder; sets of similar classes are near,
            others far. Without either, the foreign cells of ``run`` itself are taken as far.
        cell: the in-distribution cell of ``run``, such as ``fog/3``; None: its clean one.
        out: JSON to write; None: ``run/ood.json``, or ``run/ood-fog-3.json`` of a ``cell`` that was named.
        resamples: bootstrap resamples of the intervals.
        seed: of the bootstrap.

    Raises:
        RobenchError: not a run, one of another model or with its logits cut to other classes, or no such cell.

    >>> import tempfile, numpy, robench
    >>> few = {"limit": 200, "device": "cpu", "resamples": 0, "quiet": True}
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     numpy.save(f"{folder}/images.npy", numpy.full((50, 32, 32, 3), 90, numpy.uint8))
    ...     numpy.save(f"{folder}/labels.npy", numpy.zeros(50, int))
    ...     _ = robench.evaluate("reference:digits/standard", "clean", data="digits", out=f"{folder}/own", **few)
    ...     _ = robench.evaluate("reference:digits/standard", f"ood:{folder}", out=f"{folder}/grey", **few)
    ...     found = robench.ood(f"{folder}/own", far={"grey": f"{folder}/grey"}, resamples=0)
    >>> found.sets["grey"].images, 0 <= found.groups["far"]["ood_auroc_energy"].value <= 1
    (50, True)
    """
    from robench.files import write_json
    from robench.predictions import RunFolder

    whole("resamples", resamples, least=0, most=100_000)
    whole("seed", seed, least=0, most=2**32 - 1)
    folder = RunFolder.open(run_place("run", run))
    folder.refuse_damaged()
    own_cell = cell if cell is not None else clean_of(folder)
    own = own_predictions(folder, own_cell)
    given = foreign_sets(folder, {"near": near, "far": far})
    values, groups, rows = _scored(own, given, resamples, seed)
    found = Detection(
        model=folder.record.model.name,
        run=str(folder.path),
        cell=own_cell,
        images=len(own),
        sets={
            name: OutlierSet(group, str(where.path), of, len(rows[name]), _shared(own, rows[name]), values[name])
            for name, (group, where, of) in given.items()
        },
        groups=groups,
        resamples=resamples,
        seed=seed,
        path=folder.path / _file_name(cell) if out is None else place("out", out),
    )
    write_json(found.path, found.document())
    return found


def _file_name(cell: str | None) -> str:
    return "ood.json" if cell is None else f"ood-{cell.replace('/', '-')}.json"


def _scored(
    own: Predictions, given: Mapping[str, tuple[str, RunFolder, str]], resamples: int, seed: int
) -> tuple[dict[str, dict[str, Value]], dict[str, dict[str, Value]], dict[str, Predictions]]:
    """Return each set's values, the means of each group, and the sets' predictions."""
    import numpy as np

    from robench.catalogue import defaults
    from robench.metrics.cells import compute
    from robench.metrics.statistics import bootstrap_cells
    from robench.metrics.trials import trials
    from robench.results.outliers import joined
    from robench.results.values import with_interval

    metrics = defaults("ood")
    rows = {name: run.read(cell) for name, (_, run, cell) in given.items()}
    columns, after = [], int(own.index.max(initial=-1)) + 1
    for name, foreign in rows.items():
        columns.append(joined(own, foreign, after))
        _refuse_old(columns[-1], given[name][1].path)
        after += int(foreign.index.max(initial=-1)) + 1
    found = {metric: np.array([compute(metric, one) for one in columns]) for metric in metrics}
    drawn = bootstrap_cells(columns, metrics, resamples=resamples, seed=seed)

    def value(metric: str, at: list[int]) -> Value:
        mean = float(found[metric][at].mean())
        behind = min(trials(metric, columns[i]) for i in at) if mean in (0.0, 1.0) else None
        return with_interval(mean, drawn[metric][:, at].mean(axis=1), metric, trials=behind)

    def values(at: list[int]) -> dict[str, Value]:
        return {metric: value(metric, at) for metric in metrics}

    groups = {group: [i for i, name in enumerate(given) if given[name][0] == group] for group in GROUPS}
    return (
        {name: values([i]) for i, name in enumerate(given)},
        {group: values(at) for group, at in groups.items() if at},
        rows,
    )


def _refuse_old(columns: Mapping[str, Any], path: Path) -> None:
    if "logsumexp" not in columns:
        raise RobenchError(
            f"{path}, or the run it is compared with, was measured by an earlier version, which kept no logits' sums.",
            hint="Evaluate the model again into a new folder.",
        )


def _shared(own: Predictions, foreign: Predictions) -> int:
    if own.fingerprint is None or foreign.fingerprint is None:
        return 0
    import numpy as np

    return int(np.isin(foreign.fingerprint, own.fingerprint).sum())


def _plain(values: Mapping[str, Value]) -> dict[str, dict[str, Any]]:
    return {
        name: {key: value for key, value in one.model_dump().items() if key == "value" or value is not None}
        for name, one in values.items()
    }
