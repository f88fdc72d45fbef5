"""``robench.ood(run, near=..., far=...)``: how well a model's confidence tells foreign images from its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

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
    own_cell = cell if cell is not None else _clean_of(folder)
    own = _own(folder, own_cell)
    given = _sets(folder, {"near": near, "far": far})
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


def _clean_of(folder: RunFolder) -> str:
    from robench.results.protocols import clean_condition, protocol_of_run

    there, clean = folder.done(), clean_condition(protocol_of_run(folder.record.suite))
    return there[0] if len(there) == 1 and folder.record.suite.task != "ood" else clean


def _own(folder: RunFolder, cell: str) -> Predictions:
    """Return the in-distribution predictions.

    Raises:
        RobenchError: no such cell, one of foreign images, or not one class per image.
    """
    if cell not in (there := folder.done()):
        raise RobenchError(
            f"{folder.path} has no finished cell '{cell}' of in-distribution images.",
            hint=f"It has: {', '.join(there) or 'none'}. Choose one with `cell`, or evaluate the model on its own"
            " images.",
        )
    rows = folder.read(cell)
    if rows.frame is not None or rows.targets is not None or bool((rows.target < 0).all()):
        raise RobenchError(
            f"Cell '{cell}' of {folder.path} has no labelled images of the model's classes.",
            hint="Give a run of a classification suite.",
        )
    return rows


def _sets(folder: RunFolder, given: Mapping[str, Places | None]) -> dict[str, tuple[str, RunFolder, str]]:
    """Return name -> (group, run, cell) of every foreign set.

    Raises:
        RobenchError: none, a run of another model, or two sets of one name.
    """
    from robench.predictions import RunFolder

    found: dict[str, tuple[str, RunFolder, str]] = {}
    for group, places in given.items():
        for title, path in _named(group, places):
            other = RunFolder.open(path)
            _refuse_unlike(folder, other)
            cells = _foreign(other)
            for cell in cells:
                dataset = other.record.suite.dataset if cell == "ood" else cell
                name = title if title and len(cells) == 1 else f"{title}/{cell}" if title else dataset
                if name in found:
                    raise RobenchError(
                        f"Two sets are called '{name}': {found[name][1].path} and {other.path}.",
                        hint=f"Name them: `{group}={{'one': FOLDER, 'other': FOLDER}}`, or rename a folder of images.",
                    )
                found[name] = (group, other, cell)
    if not any(given.values()) and folder.record.suite.task == "ood":
        found = {cell: ("far", folder, cell) for cell in _foreign(folder)}
    if not found:
        raise RobenchError(
            "No out-of-distribution images: neither `near` nor `far` names a run.",
            hint="Evaluate the model on them first: `robench.evaluate(model, suite='ood:FOLDER')`.",
        )
    return found


def _named(group: str, places: Places | None) -> list[tuple[str, Path]]:
    if places is None:
        return []
    if isinstance(places, Mapping):
        return [(str(title), place(group, path)) for title, path in places.items()]
    listed: Sequence[Place] = [places] if isinstance(places, (str, Path)) else list(places)
    pairs = []
    for one in listed:
        title, equals, path = str(one).partition("=")
        named = bool(equals) and not Path(str(one)).exists()
        pairs.append((title, place(group, path)) if named else ("", place(group, one)))
    return pairs


def _refuse_unlike(folder: RunFolder, other: RunFolder) -> None:
    other.refuse_damaged()
    models = [run.record.model for run in (folder, other)]
    if models[0].hash != models[1].hash:
        raise RobenchError(
            f"{other.path} is a run of another model ({models[1].name}) than {folder.path} ({models[0].name}).",
            hint="Evaluate the same model on both.",
        )
    cut = [run.record.suite.subset for run in (folder, other)]
    if cut[0] != cut[1]:
        words = [f"cut to the classes of {one}" if one else "of all classes" for one in cut]
        raise RobenchError(
            f"The logits of {folder.path} are {words[0]}, those of {other.path} {words[1]}: their scores cannot be"
            " compared.",
            hint="ImageNet-O needs the validation images of its own 200 classes: evaluate it with `clean`.",
        )


def _foreign(folder: RunFolder) -> list[str]:
    """Return the cells of foreign images: all but the clean one of an ood suite, else every cell."""
    from robench.results.protocols import clean_condition, protocol_of_run

    there = folder.done()
    if folder.record.suite.task == "ood":
        clean = clean_condition(protocol_of_run(folder.record.suite))
        there = [cell for cell in there if cell != clean]
    if not there:
        raise RobenchError(f"{folder.path} has no finished cell of out-of-distribution images.", hint="Finish it.")
    return there


def _scored(
    own: Predictions, given: Mapping[str, tuple[str, RunFolder, str]], resamples: int, seed: int
) -> tuple[dict[str, dict[str, Value]], dict[str, dict[str, Value]], dict[str, Predictions]]:
    """Return each set's values, the means of each group, and the sets' predictions."""
    import numpy as np

    from robench.catalogue import defaults
    from robench.metrics.cells import compute
    from robench.metrics.statistics import bootstrap_cells
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

    def values(at: list[int]) -> dict[str, Value]:
        return {m: with_interval(float(found[m][at].mean()), drawn[m][:, at].mean(axis=1), m) for m in metrics}

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
