"""Metadata splits: one manifest, many test sets that differ from the training data in one attribute each.

A definition is a YAML file of a few lines: the classes, the attribute values of the training (IID) set, and for
every OOD set the attributes that it alters. A row passes a set if all the IID's attributes match, with those
that the set alters replaced.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, StrictInt, ValidationError, field_validator

from robench.data.encoded import EncodedImages
from robench.data.manifest import find_manifest, read_manifest
from robench.data.trees import FolderTree, TreeSource
from robench.documents import load_yaml
from robench.errors import RobenchError, did_you_mean
from robench.files import digest
from robench.suites.base import Cell, OpenOptions, Suite
from robench.suites.opened import Found, choose_cells
from robench.suites.reading import View, view_of

# StrictInt: YAML reads an unquoted yes or no as a truth value, which would become 1 or 0 and match nothing.
Value = str | StrictInt | list[str | StrictInt]
_NO_MANIFEST = (
    "Give a folder with manifest.csv (or .parquet) in `data`: one row per image (or garment), with file, label and a"
    " column for every attribute. `robench data manifest-dfr` writes DeepFashion Remixed's."
)


class SplitDefinition(BaseModel):
    """What a definition file says.

    Args:
        classes: class names by label.
        iid: attribute -> value, or values of which one must match.
        ood: set name -> the attributes it alters.
        where_iid: further conditions of the IID set alone.
        where_train: further conditions of the training set, which has the attributes of the IID set.
        first_label: number of the first class, where the manifest numbers them; names that are numbers go before it.
        multilabel: whether an image may have several rows, and its target is a set of classes.
    """

    model_config = ConfigDict(extra="forbid")
    classes: list[str]
    iid: dict[str, Value]
    ood: dict[str, dict[str, Value]]
    where_iid: dict[str, Value] = {}
    where_train: dict[str, Value] = {}
    first_label: int = 0
    multilabel: bool = False

    @field_validator("classes")
    @classmethod
    def _different(cls, names: list[str]) -> list[str]:
        """Refuse names that differ in case alone: labels are matched without it."""
        if len({name.lower() for name in names}) < len(names):
            raise ValueError("two classes have the same name, upper and lower case alike")
        return names

    @field_validator("ood")
    @classmethod
    def _names(cls, sets: dict[str, dict[str, Value]]) -> dict[str, dict[str, Value]]:
        """Refuse names that would replace the IID set, or share a cell's file."""
        for name in sets:
            if name == "iid" or not re.fullmatch(r"[^/\\\0]{1,100}", name) or not name.strip(" ."):
                raise ValueError(f"a set cannot be called {name[:40]!r}: not iid, no slash, 1 to 100 characters")
        return sets

    def rules(self) -> dict[str, dict[str, Value]]:
        """Return set name -> attribute -> value(s), the IID set first."""
        return {"iid": self.iid | self.where_iid} | {name: self.iid | altered for name, altered in self.ood.items()}

    def attributes(self) -> list[str]:
        """Return every attribute that the sets look at."""
        return list(dict.fromkeys(name for rule in self.rules().values() for name in rule))


def load_definition(name: str | Path) -> SplitDefinition:
    """Read a definition: ``svsf``, ``dfr``, or a YAML file.

    Raises:
        RobenchError: no such file, or not a definition.
    """
    import yaml

    path = files("robench.suites") / f"split_{name}.yaml" if isinstance(name, str) else name
    try:
        return SplitDefinition(**load_yaml(path.read_text()))
    except (OSError, yaml.YAMLError, ValidationError, TypeError) as error:
        raise RobenchError(
            f"{path} is not a split definition: {_in_short(error)}.",
            hint="It has 'classes' (a list), 'iid' (attribute: value) and 'ood' (set: {attribute: value}); see those"
            " that 'robench suites show svsf' prints.",
        ) from error


def has_definition(name: str) -> bool:
    """Return whether a definition of this name comes with robench."""
    return (files("robench.suites") / f"split_{name}.yaml").is_file()


def _in_short(error: Exception) -> str:
    if isinstance(error, ValidationError):
        return "; ".join(f"{'.'.join(map(str, one['loc']))}: {one['msg'].lower()}" for one in error.errors()[:3])
    return error.strerror or str(error) if isinstance(error, OSError) else str(error)


def open_split_suite(suite: Suite, data: Path | None, options: OpenOptions) -> Found:
    """Open a metadata-split suite from its manifest; file paths in it are relative to the manifest's folder.

    Args:
        suite: the protocol.
        data: the manifest, or the folder with ``manifest.csv`` or ``manifest.parquet``.
        options: ``definition`` is a YAML file that replaces the suite's definition.

    Raises:
        RobenchError: no manifest, columns or values missing, a label that is not a class, or an empty set.
    """
    if data is None:
        raise RobenchError(f"{suite.name} needs a manifest.", hint=_NO_MANIFEST)
    given = options.definition
    definition = load_definition(Path(given) if given else suite.name)
    remarks: tuple[str, ...] = ()
    if given:
        suite = _defined(suite, definition, f"a custom metadata split, defined in {Path(given).name}")
        remarks = (f"Classes and sets are those of {given}: results are not comparable with {suite.name}'s.",)
    cells = choose_cells(suite, options)
    try:
        path = find_manifest(data)
    except RobenchError as error:
        raise RobenchError(error.message, hint=_NO_MANIFEST) from error
    rows = read_manifest(path, ["file", "label", *definition.attributes()])
    labels = _labels(rows["label"], definition, path)
    geometry = options.geometry or suite.geometry
    sets: dict[Cell, View] = {}
    checksums: dict[str, str] = {}
    for cell in cells:
        chosen, targets = _members(rows, labels, definition, cell.condition, path)
        source = TreeSource(FolderTree(path.parent), list(chosen))
        images = EncodedImages(
            source, targets, definition.classes, files=list(chosen), geometry=geometry, workers=options.workers
        )
        checksums[cell.name] = images.checksum()
        sets[cell] = replace(view_of(images), index=_positions(rows["file"], chosen))
    protocol: dict[str, Any] = {
        "definition": digest(definition.model_dump(exclude={"where_train"})),
        "sets": checksums,
        "images": {cell.name: len(view) for cell, view in sets.items()},
        "geometry": geometry.record(),
    }
    return Found(suite, cells, "published", sets.__getitem__, protocol, definition.classes, remarks=remarks)


def training_set(name: str, data: Path) -> tuple[list[Path], npt.NDArray[np.int64], Path]:
    """Return a definition's training images: files, targets as in a suite's batches, and the manifest's folder.

    Args:
        name: ``svsf``, ``dfr``, or a YAML file.
        data: the manifest, or its folder.

    Raises:
        RobenchError: no manifest, or no training image in it.
    """
    definition = load_definition(Path(name) if name.endswith((".yaml", ".yml")) else name)
    try:
        path = find_manifest(data)
    except RobenchError as error:
        raise RobenchError(error.message, hint=_NO_MANIFEST) from error
    rows = read_manifest(path, ["file", "label", *definition.attributes(), *definition.where_train])
    labels = _labels(rows["label"], definition, path)
    chosen = passing(rows, definition.iid | definition.where_train)
    files, targets = _targets(rows, labels, definition, chosen, path, "train")
    return [path.parent / file for file in files], targets, path.parent


def _defined(suite: Suite, definition: SplitDefinition, title: str) -> Suite:
    """Return the protocol of a definition in place of the suite's."""
    return replace(
        suite,
        title=title,
        cells=tuple(Cell(name) for name in definition.rules()),
        benchmark=tuple(definition.ood),
        groups=(),
        images=None,
        images_of=(),
        num_classes=len(definition.classes),
        task="multilabel" if definition.multilabel else "classification",
    )


def _members(
    rows: dict[str, list[str]],
    labels: npt.NDArray[np.int64],
    definition: SplitDefinition,
    name: str,
    path: Path,
) -> tuple[list[str], npt.NDArray[np.int64]]:
    """Return the files of one set, and their targets: int64 (n,), or 0/1 of (n, K) for several labels per image."""
    return _targets(rows, labels, definition, passing(rows, definition.rules()[name]), path, name)


def _targets(
    rows: dict[str, list[str]],
    labels: npt.NDArray[np.int64],
    definition: SplitDefinition,
    chosen: npt.NDArray[np.int64],
    path: Path,
    name: str,
) -> tuple[list[str], npt.NDArray[np.int64]]:
    if len(chosen) == 0:
        rule = definition.rules().get(name, definition.iid | definition.where_train)
        raise RobenchError(
            f"{path}: no row belongs to '{name}' ({rule}).",
            hint="Check the attribute values, or omit the set with `corruption`.",
        )
    paths = list(dict.fromkeys(rows["file"][row] for row in chosen))
    if not definition.multilabel:
        if len(paths) != len(chosen):
            raise RobenchError(f"{path}: '{name}' lists a file twice.", hint="List each file only once.")
        return paths, np.ascontiguousarray(labels[chosen])
    rank = {file: i for i, file in enumerate(paths)}
    target = np.zeros((len(paths), len(definition.classes)), np.int64)
    for row in chosen:
        target[rank[rows["file"][row]], labels[row]] = 1
    return paths, target


def _positions(files: Sequence[str], chosen: Sequence[str]) -> npt.NDArray[np.int64]:
    """Return each chosen file's position among all files of the manifest."""
    order = {file: i for i, file in enumerate(dict.fromkeys(files))}
    return np.array([order[file] for file in chosen], np.int64)


def passing(rows: Mapping[str, Sequence[str]], rule: Mapping[str, Value]) -> npt.NDArray[np.int64]:
    """Return the rows whose attributes all match, compared as text without case."""
    keep = np.ones(len(rows["file"]), bool)
    for attribute, value in rule.items():
        allowed = {str(one).lower() for one in (value if isinstance(value, list) else [value])}
        keep &= np.array([text.lower() in allowed for text in rows[attribute]], bool)
    return np.flatnonzero(keep).astype(np.int64)


def _labels(texts: list[str], definition: SplitDefinition, path: Path) -> npt.NDArray[np.int64]:
    rank = {name.lower(): label for label, name in enumerate(definition.classes)}
    if not any(name.isdecimal() for name in rank):  # else a number is a name
        rank |= {str(label + definition.first_label): label for label in range(len(definition.classes))}
    for row, text in enumerate(texts):
        if text.lower() not in rank:
            raise RobenchError(
                f"{path}, row {row + 1}: '{text}' is not a class.", hint=did_you_mean(text, definition.classes)
            )
    return np.array([rank[text.lower()] for text in texts], np.int64)
