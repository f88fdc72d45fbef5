"""The -C suites kept as image files: ``CONDITION/SEVERITY/WNID/NAME.JPEG`` in folders or packed tars."""

from __future__ import annotations

import hashlib
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

from robench.data.base import Geometry
from robench.data.classes import imagenet_wnids
from robench.data.encoded import EncodedImages
from robench.data.find import open_images, with_classes
from robench.data.folders import class_folders, load_folders
from robench.data.trees import Tree, TreeSource, child, join
from robench.errors import RobenchError
from robench.suites.base import Cell, OpenOptions, Suite
from robench.suites.listed import ListedTree, kept, numbers
from robench.suites.opened import Found, choose_cells
from robench.suites.origin import mark_among
from robench.suites.reading import View, view_of
from robench.suites.single import not_measured
from robench.suites.tree_conditions import open_conditions, severity_folder
from robench.suites.trees_generated import open_generated

SOURCE_GEOMETRY = Geometry(resize=256, crop=224)
_SAMPLED_PER_CELL = 4
_UNPACK = "Unpack the set again."


def open_imagenet_c(suite: Suite, data: Path | None, options: OpenOptions) -> Found:
    """Open ImageNet-C or ImageNet-C-bar: published folders or tars, or made from ImageNet's validation folder.

    Raises:
        RobenchError: neither is at ``data``, or a severity, class or image is missing or too many.
    """
    return _open(suite, data, options, SOURCE_GEOMETRY, "imagenet")


def open_tiny_imagenet_c(suite: Suite, data: Path | None, options: OpenOptions) -> Found:
    """Open Tiny-ImageNet-C: published folders or tar, or made from Tiny ImageNet's validation folders."""
    return _open(suite, data, options, Geometry(), None)


def _open(
    suite: Suite, data: Path | None, options: OpenOptions, clean_geometry: Geometry, dataset: str | None
) -> Found:
    if data is None:
        raise RobenchError(
            f"{suite.name} needs data: the published files, or the clean images to make it from.",
            hint="Give `data`; 'robench data list' says how to get the published files.",
        )
    conditions = tuple(dict.fromkeys(cell.condition for cell in suite.cells if cell.severity))
    tree, places = open_conditions(data, conditions)
    if places:
        return _Published(suite, tree, places, options, clean_geometry, dataset).open()
    if "generated" not in suite.sources:
        raise RobenchError(
            f"{data} has no folder of {suite.name}, such as {conditions[0]}/1/.", hint="Give the unpacked set."
        )
    if options.images is not None:
        raise RobenchError(
            f"`images={options.images!r}` lists images of the published set; {data} has clean ones to generate it.",
            hint="Omit `images`, or give the published files.",
        )
    called = dataset or suite.dataset
    clean = open_images(data, split="test", dataset=called, geometry=clean_geometry, workers=options.workers)
    return open_generated(suite, clean, options)


class _Published:
    """Finds the images of a published tree.

    All cells hold the same images under the same names; the first cell's listing is the reference that every
    other cell is compared with when it is read.
    """

    def __init__(
        self,
        suite: Suite,
        tree: Tree,
        places: dict[str, str],
        options: OpenOptions,
        clean_geometry: Geometry,
        dataset: str | None,
    ) -> None:
        self.suite, self.places, self.options = suite, places, options
        self.listed = None if options.images is None else numbers(options.images)
        self.tree: Tree = tree if self.listed is None else ListedTree(tree, self.listed)
        self.own_classes = dataset is None
        self.unlike: tuple[str, ...] = ()  # said of images beside the set that are not its own
        self.clean = self._find_clean(clean_geometry, dataset or suite.dataset)
        self.cells = self._choose()
        corrupted = tuple(cell for cell in self.cells if cell.severity is not None)
        self.first = corrupted[0] if corrupted else Cell(next(iter(places)), 1)
        self.paths = {cell: self._severity(cell) for cell in corrupted or (self.first,)}
        self.classes = self._find_classes() if self.own_classes else tuple(imagenet_wnids())
        self.reference = self._listing(self.first)
        self.compared: set[Cell] = set()
        if self.clean is not None and not self._matches(self.clean):
            self.unlike = (self._said_of(self.clean),)
            self.clean, self.cells = None, corrupted
        if not self.cells:
            said = f" {' '.join(self.unlike)}" if self.unlike else ""
            raise RobenchError(f"{tree.root} has no clean images beside it.{said}", hint="Say where they are: `clean`.")

    def open(self) -> Found:
        protocol: dict[str, Any] = {"images": len(self.reference), "files": self._fingerprints()}
        if self.clean is not None:
            protocol["clean"] = self.clean.checksum()
        # Labels count the classes that are there: a model of more classes would be asked for the wrong ones.
        suite = replace(self.suite, num_classes=len(self.classes))
        if self.listed is not None:
            protocol["list"] = self.options.images
            suite = replace(suite, images=len(self.listed))
        remarks = (*(self.clean.remarks if self.clean is not None else ()), *self.unlike, *self.reference.remarks)
        mark = mark_among(self.tree, self.places.values(), suite.name)
        return Found(
            suite, self.cells, "published", self._view, protocol, self.classes, self._count, remarks, mark=mark
        )

    def _count(self, cell: Cell) -> int:
        """Return a cell's number of images without listing its thousand folders: all cells have the same."""
        return len(self.clean if cell.severity is None and self.clean is not None else self.reference)

    def _view(self, cell: Cell) -> View:
        if cell.severity is None and self.clean is not None:
            return view_of(self.clean)
        if cell == self.first:
            return view_of(self.reference)
        if cell in self.compared:  # a sample that grows comes back to every cell, each of which has a thousand folders
            return view_of(self._like_reference(cell))
        images = self._listing(cell)
        self._compare(cell, images)
        self.compared.add(cell)
        return view_of(images)

    def _like_reference(self, cell: Cell) -> EncodedImages:
        """Return the images of a cell whose names are known to be those of the first."""
        files = self.reference.files or ()
        source = TreeSource(self.tree, [f"{self.paths[cell]}/{file}" for file in files])
        return EncodedImages(source, self.reference.labels, self.classes, files=files, workers=self.options.workers)

    def _listing(self, cell: Cell) -> EncodedImages:
        path = self.paths[cell]
        wanted = set(self.classes)
        tree = _OnlyClasses(self.tree, path, wanted) if self.own_classes else self.tree
        return load_folders(tree, self.classes, below=path, split="", workers=self.options.workers)

    def _compare(self, cell: Cell, images: EncodedImages) -> None:
        here, there = set(images.files or ()), set(self.reference.files or ())
        if here == there:
            return
        missing, strange = sorted(there - here), sorted(here - there)
        raise RobenchError(
            f"{self.tree.root}/{self.paths[cell]} holds other images than {self.first.name}: {len(missing)} missing"
            f" ({missing[:1]}), {len(strange)} too many ({strange[:1]}).",
            hint="Unpack the set again; every severity has the same file names.",
        )

    def _choose(self) -> tuple[Cell, ...]:
        cells = [c for c in choose_cells(self.suite, self.options) if c.severity or self.clean is not None]
        missing = {cell.condition for cell in cells if cell.severity and cell.condition not in self.places}
        if self.options.conditions is None:
            absent = missing & set(self.suite.held_out)
            missing -= absent
            cells = [cell for cell in cells if cell.condition not in absent]
        if missing:
            raise RobenchError(
                f"{self.tree.root} lacks {len(missing)} of the conditions: {', '.join(sorted(missing))}.",
                hint=f"Get the rest, or measure what is there: `corruption='{','.join(self.places)}'`.",
            )
        return tuple(cells)

    def _severity(self, cell: Cell) -> str:
        path = severity_folder(self.tree, self.places[cell.condition], cell)
        if path is None:
            there = self.tree.folders(self.places[cell.condition])
            found = ", ".join(there) or "nothing"
            other = next((name for name in there if re.fullmatch(rf"\D+0*{cell.severity}", name)), None)
            raise RobenchError(
                f"{self.tree.root}/{self.places[cell.condition]} has no folder {cell.severity}; found {found}.",
                hint=f"Rename {other} to {cell.severity}, and the others alike."
                if other is not None
                else "The archive was not unpacked whole; unpack it again.",
            )
        return path

    def _find_classes(self) -> tuple[str, ...]:
        """Return the class folders of the cell with the fewest: Tiny's published frost folder has all 1,000.

        Raises:
            RobenchError: a cell other than frost's has more, which would shift the labels of the others.
        """
        listed = {path: class_folders(self.tree, path) for path in self.paths.values()}
        for place in self.places.values():  # conditions that were not asked for tell the classes of frost too
            if (path := child(self.tree, place, "1")) is not None:
                listed.setdefault(path, class_folders(self.tree, path))
        shortest, fewest = min(listed.items(), key=lambda item: len(item[1]))
        if not fewest:
            raise RobenchError(f"{self.tree.root}/{shortest} has no class folders (WordNet ids).", hint=_UNPACK)
        frost = self.places.get("frost", "?") + "/"
        for path, names in listed.items():
            missing, strange = sorted(set(fewest) - set(names)), sorted(set(names) - set(fewest))
            if missing or (strange and not path.startswith(frost)):
                raise RobenchError(
                    f"{self.tree.root}: {path} has {len(names)} class folders and {shortest} {len(fewest)}; only one of"
                    f" them has {(missing or strange)[0]}.",
                    hint="Labels count the class folders, so none may be missing: unpack the set again.",
                )
        return tuple(fewest)

    def _find_clean(self, geometry: Geometry, dataset: str) -> EncodedImages | None:
        given = self.options.clean
        places = [Path(given)] if given else []
        root = self.tree.root.parent if self.tree.root.suffix == ".tar" else self.tree.root
        if not given and (root / "val").is_dir():
            places = [root / "val"]
        if not places:
            return None
        workers = self.options.workers
        try:
            found = open_images(places[0], split="test", dataset=dataset, geometry=geometry, workers=workers)
        except RobenchError as error:
            if given:
                raise
            self.unlike = (not_measured(places[0], error),)  # nobody has said that these are the clean images
            return None
        if not isinstance(found, EncodedImages):
            raise RobenchError(f"{places[0]} holds arrays; image files were expected.", hint="Give image files.")
        return found if self.listed is None else kept(found, self.listed, str(places[0]))

    def _matches(self, clean: EncodedImages) -> bool:
        """Whether the clean set has the same images; Tiny's published set has no clean counterpart."""
        if self.own_classes:
            if self.options.clean:  # its labels count in the corrupted set's classes, whichever it has
                with_classes(clean, self.classes, self.options.clean)
            return bool(self.options.clean)
        here, there = set(clean.files or ()), set(self.reference.files or ())
        if here != there and self.options.clean:
            raise RobenchError(
                f"The clean set has {len(here)} images, {len(here & there)} of them under the names of the corrupted"
                f" set's {len(there)}.",
                hint="Give the validation folder that the set was made from.",
            )
        return here == there

    def _said_of(self, beside: EncodedImages) -> str:
        """Return why images that lie beside the set are not its clean cell."""
        if self.own_classes:
            return "The images in val were not measured: the published ones match no clean set. `clean` measures them."
        names = set(self.reference.files or ())
        common = len(names & set(beside.files or ()))
        return (
            f"The images in val were not measured: they are not those of the corrupted set, {common:,} of whose"
            f" {len(names):,} are among these {len(beside):,} under their name and class."
        )

    def _fingerprints(self) -> dict[str, str]:
        """Return, for every cell, a SHA-256 over a few of its images; the names are hashed once."""
        names = self.reference.files or ()
        labels = self.reference.labels
        digest = hashlib.sha256("\0".join(names).encode() + (labels.tobytes() if labels is not None else b""))
        chosen = sorted({i * len(names) // _SAMPLED_PER_CELL for i in range(_SAMPLED_PER_CELL)})
        prints = {"names": digest.hexdigest()}
        for cell, path in self.paths.items():
            prints[cell.name] = self._fingerprint(path, [names[i] for i in chosen])
        return prints

    def _fingerprint(self, path: str, names: list[str]) -> str:
        digest = hashlib.sha256()
        for name in names:
            try:
                digest.update(self.tree.fetch(join(path, name)))
            except (OSError, RobenchError) as error:
                raise RobenchError(
                    f"{self.tree.root}/{path}/{name} is missing or cannot be read: {error}.",
                    hint="Every severity has the same file names; unpack the set again.",
                ) from error
        return digest.hexdigest()


class _OnlyClasses:
    """A tree that shows only some class folders of one folder."""

    def __init__(self, tree: Tree, path: str, wanted: set[str]) -> None:
        self._tree, self._path, self._wanted, self.root = tree, path, wanted, tree.root

    def folders(self, path: str = "") -> list[str]:
        names = self._tree.folders(path)
        return [name for name in names if name in self._wanted] if path == self._path else names

    def files(self, path: str = "") -> list[str]:
        return self._tree.files(path)

    def size(self, path: str) -> int:
        return self._tree.size(path)

    def fetch(self, path: str) -> bytes:
        return self._tree.fetch(path)
