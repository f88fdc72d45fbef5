"""Suites as data: what is measured, on what images, how cells are summed up, what it is normalised by."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Literal

import numpy as np
import numpy.typing as npt

from robench.data.base import Geometry, Interpolation

if TYPE_CHECKING:
    import torch

Source = Literal["published", "generated"]
Task = Literal["classification", "perturbation", "multilabel", "ood"]
Norm = Literal["linf", "l2"]
Groups = tuple[tuple[str, tuple[str, ...]], ...]

_HEEDED_BY_ALL = ("geometry", "interpolation", "limit", "conditions", "skip_corrupt", "workers")


@dataclass(frozen=True)
class Cell:
    """One (condition, severity) of a suite: ``gaussian_noise/3``, ``brightness`` (a sequence), ``clean``.

    >>> Cell("gaussian_noise", 3).name, Cell.parse("gaussian_noise/3"), Cell.parse("clean").severity
    ('gaussian_noise/3', Cell(condition='gaussian_noise', severity=3), None)
    """

    condition: str
    severity: int | None = None

    @property
    def name(self) -> str:
        """The cell's name in files, tables and errors."""
        return self.condition if self.severity is None else f"{self.condition}/{self.severity}"

    @classmethod
    def parse(cls, name: str) -> Cell:
        """Return the cell with this name."""
        condition, _, severity = name.partition("/")
        return cls(condition, int(severity) if severity else None)


@dataclass(frozen=True)
class OpenOptions:
    """What a user may choose when a suite is opened; each is recorded in the protocol where it matters.

    A suite heeds those of :meth:`Suite.takes`.

    Args:
        geometry: resize and crop in place of the model's own and the suite's.
        interpolation: filter of the scaling, in place of the model's or the suite's; None: theirs.
        seed: of the randomness of generated images.
        limit: images (sequences: clips) per cell; None: all.
        conditions: only these conditions; None: the suite's.
        severities: only these severities; None: all.
        frost_dir: folder with the original frost images; None: robench's own textures.
        skip_corrupt: leave unreadable images out, and count them, instead of failing their cell.
        workers: decoding threads; None: one per core.
        split: which part of a clean set: ``train``, ``validation`` or ``test`` (None).
        clean: folder or file of the clean set, where it does not lie beside the suite's.
        difficulty: of sequences: 1 (None), 2 or 3.
        definition: YAML file that defines a metadata split in place of the suite's definition.
        images: a published list of some of the images: ``robustbench`` (5,000 of ImageNet's validation images).
        num_classes: how many classes the labels of a clean set count in, where its files do not have all of them.
    """

    geometry: Geometry | None = None
    interpolation: Interpolation | None = None
    seed: int = 0
    limit: int | None = None
    conditions: tuple[str, ...] | None = None
    severities: tuple[int, ...] | None = None
    frost_dir: str | None = None
    skip_corrupt: bool = False
    workers: int | None = None
    split: str | None = None
    clean: str | None = None
    difficulty: int | None = None
    definition: str | None = None
    num_classes: int | None = None
    images: str | None = None


@dataclass(frozen=True)
class Attack:
    """An attack on the model, which turns the images of a cell into the worst that are found near them.

    Args:
        norm: of the perturbation, over all pixels and channels.
        epsilon: its largest norm, in units of images scaled to [0, 1].
        steps: gradient steps of each restart.
        restarts: random starts; of every image the worst result counts.
        step: length of a step, in the same norm and units.
        method: ``pgd`` (Madry et al. 2018) or ``autoattack`` (Croce and Hein 2020, of the package of this name), which
            has its own steps and restarts.
    """

    norm: Norm
    epsilon: float
    steps: int = 0
    restarts: int = 1
    step: float = 0.0
    method: Literal["pgd", "autoattack"] = "pgd"

    def record(self) -> dict[str, str | int | float]:
        """Return what a protocol keeps of it.

        >>> Attack("l2", 0.5, method="autoattack").record()
        {'method': 'autoattack', 'norm': 'l2', 'epsilon': 0.5}
        """
        kept: dict[str, str | int | float] = {"method": self.method, "norm": self.norm, "epsilon": self.epsilon}
        return (
            kept if self.method != "pgd" else kept | {"steps": self.steps, "restarts": self.restarts, "step": self.step}
        )


@dataclass(frozen=True)
class Layout:
    """How ``robench data generate`` writes a suite's files.

    Args:
        kind: ``blocks`` (one .npy per corruption), ``sequences`` (one .npy per perturbation), ``tree`` (JPEG files) or
            ``clips`` (mp4 files).
        geometry: resize and crop of the clean images first, or None.
    """

    kind: Literal["blocks", "sequences", "tree", "clips"]
    geometry: Geometry | None = None


@dataclass(frozen=True)
class Suite:
    """A named protocol: one row of the table of suites.

    Everything that depends on the protocol stands here, so that no other code asks for a suite's name, and a new
    corruption changes no suite.

    Args:
        name: what users type.
        title: one line.
        task: what a prediction is: one class, one class per frame, a set of classes, or whether an image is foreign.
        dataset: the clean data set that the labels belong to (``cifar10``, ``imagenet``, ``digits``...).
        num_classes: classes that the model must put out; 0: those of the data.
        cells: every cell in the published order; the clean one first where the suite has one.
        summary: names of the summary rules that results computes (see robench.results.summaries).
        headline: the summary value that stands for the whole suite.
        opener: function that finds the images, as ``module:function``; it takes the suite, a path or None, and
            :class:`OpenOptions`, and returns a :class:`robench.suites.opened.Found`.
        benchmark: conditions that the headline values average, in the published order.
        held_out: conditions in no headline value; measured where their files are there, or on request.
        groups: (title, conditions) by which conditions are grouped in tables and plots, and averaged.
        clean: condition of the images without a shift (``clean``, ``iid``...), or None.
        images: published number of images (sequences: clips) per cell, or None where it is not fixed.
        images_of: (condition, number) of the conditions that have another number.
        frames: images per clip, or attempts at an image; 1 where an image stands alone.
        frames_of: (condition, number) of the conditions that have another number.
        side: height and width in pixels that all images have, or None where they differ.
        options: fields of :class:`OpenOptions` that this suite heeds beside those that all heed.
        normaliser: name of the table of baseline errors, or None.
        own_images: whether every condition has images of its own, so that an index means another image in each.
        own_clean: whether the published clean images are not those that the others were made of; generated ones are.
        subset: name of the list of class indices that logits are cut to, or None.
        superclasses: name of the table of superclasses that labels count in, or None: the model's probabilities are
            averaged over the classes of each (robench/suites/superclasses.py).
        attacks: (condition, attack) of the conditions whose images are found by attacking the model; the images of the
            other conditions do not depend on it.
        geometry: resize and crop that the protocol prescribes; a model's own may replace it.
        fixed_geometry: whether a model's own geometry leaves it, so that only the user replaces it.
        sources: ways the images can come; a result records which one it was.
        layout: how its files are generated, or None where robench cannot make them.
        embedded: whether the images come with robench, so that no data are taken.
        version: incremented whenever results would change.
        paper, url, licence, notes: where it comes from, shown by ``robench suites show``.
    """

    name: str
    title: str
    task: Task
    dataset: str
    num_classes: int
    cells: tuple[Cell, ...]
    summary: tuple[str, ...]
    headline: str = ""
    opener: str = ""
    benchmark: tuple[str, ...] = ()
    held_out: tuple[str, ...] = ()
    groups: Groups = ()
    clean: str | None = None
    images: int | None = None
    images_of: tuple[tuple[str, int], ...] = ()
    frames: int = 1
    frames_of: tuple[tuple[str, int], ...] = ()
    side: int | None = None
    options: tuple[str, ...] = ()
    normaliser: str | None = None
    own_images: bool = False
    own_clean: bool = False
    subset: str | None = None
    superclasses: str | None = None
    attacks: tuple[tuple[str, Attack], ...] = ()
    geometry: Geometry = Geometry()
    fixed_geometry: bool = False
    sources: tuple[Source, ...] = ("published",)
    layout: Layout | None = None
    embedded: bool = False
    version: int = 1
    paper: str = ""
    url: str = ""
    licence: str = ""
    notes: str = ""

    @property
    def conditions(self) -> tuple[str, ...]:
        """All conditions, in the published order."""
        return tuple(dict.fromkeys(cell.condition for cell in self.cells))

    @property
    def severities(self) -> tuple[int, ...]:
        """All severities, rising; none for sequences and natural sets."""
        return tuple(sorted({cell.severity for cell in self.cells if cell.severity is not None}))

    def takes(self, option: str) -> bool:
        """Return whether opening this suite heeds a field of :class:`OpenOptions`.

        Raises:
            ValueError: no such field.
        """
        if option not in {field.name for field in fields(OpenOptions)}:
            raise ValueError(f"OpenOptions has no field '{option}'")
        return option in _HEEDED_BY_ALL or option in self.options

    def published_images(self, condition: str) -> int | None:
        """Return the published number of images (sequences: clips) in a cell of a condition; None: not fixed."""
        return dict(self.images_of).get(condition, self.images)

    def frame_count(self, condition: str) -> int:
        """Return how many images a clip has, or how many attempts there are at an image; else 1."""
        return dict(self.frames_of).get(condition, self.frames)

    def attack(self, condition: str) -> Attack | None:
        """Return the attack that finds the images of a condition, or None."""
        return dict(self.attacks).get(condition)

    @property
    def unit(self) -> str:
        """What one item of a cell is, in the singular: ``clip`` or ``image``."""
        return "clip" if self.task == "perturbation" else "image"

    def needed(self, source: str) -> tuple[str, ...]:
        """Return the names of the cells without which a result is partial.

        Held-out conditions are in no headline value, and published files of a shifted set come without the clean
        images, which are another set's.
        """
        optional = set(self.held_out)
        if source == "published" and len(self.cells) > 1 and self.clean is not None and self.takes("clean"):
            optional.add(self.clean)
        return tuple(cell.name for cell in self.cells if cell.condition not in optional)


@dataclass(frozen=True)
class Batch:
    """Images of one cell in order.

    A batch may be empty: it then tells only of images that could not be read.

    Attributes:
        images: uint8 tensor of shape (n, 3, H, W), channels_last where that is free, on the device asked for.
        index: int64 array (n,): the image's index within its clean data set (sequences: the clip's).
        target: int64 array (n,) of labels, -1 where there is none; (n, K) of 0/1 for a multilabel task, or where
            several classes are right for an image, any of which counts.
        frame: int64 array (n,): the frame within the clip for sequences, else None.
        unreadable: a message for every image (sequences: clip) of this batch that was left out because it could not
            be read (only with ``skip_corrupt``).
    """

    images: torch.Tensor
    index: npt.NDArray[np.int64]
    target: npt.NDArray[np.int64]
    frame: npt.NDArray[np.int64] | None = None
    unreadable: tuple[str, ...] = ()
