"""Finds out in which form a user's copy of a data set is, and opens it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from robench.data.arrays import ArrayImages
from robench.data.base import Geometry, Images
from robench.data.classes import WORDNET_ID, class_list, label_map
from robench.data.encoded import EncodedImages
from robench.data.folders import NoClassFoldersError, load_folders
from robench.data.labels import SORTED
from robench.data.pairs import find_pair, load_pair, split_of_pair
from robench.data.splits import read_instead
from robench.errors import RobenchError

AnyImages = ArrayImages | EncodedImages
_LONGEST_SHOWN = 300
_FORMS = (
    "Expected one folder per class, Parquet files, WebDataset shards, images.npy with labels.npy, a folder saved by"
    " datasets, cifar-10-batches-py, cifar-100-python or tiny-imagenet-200."
)


@dataclass(frozen=True)
class Request:
    """What :func:`open_images` was asked for; ``classes`` are those of the data set, where they are known."""

    path: str | Path
    split: str
    dataset: str | None
    classes: Sequence[str] | None
    geometry: Geometry | None
    workers: int | None

    @property
    def place(self) -> Path:
        """The path, of something that is there."""
        return existing(self.path)

    @property
    def how(self) -> dict[str, Any]:
        """How encoded images are brought to one size."""
        return {"geometry": self.geometry, "workers": self.workers}


def open_images(
    path: str | Path,
    *,
    split: str = "test",
    dataset: str | None = None,
    geometry: Geometry | None = None,
    workers: int | None = None,
) -> Images:
    """Open a set of labelled images, whatever its form.

    Args:
        path: a folder or file in one of these forms, found out in this order: ``digits`` (the embedded digits);
            ``hf:OWNER/NAME`` (the Hugging Face hub); ``cifar-10-batches-py`` / ``cifar-100-python`` (or the archive,
            or a folder that holds one); ``tiny-imagenet-200``; a folder saved by ``datasets``; Parquet files in the
            hub's layouts; a pair ``NAME_data.npy`` + ``NAME_labels.npy`` or ``images.npy`` + ``labels.npy``;
            ImageNet's validation images in one folder (or tar) with a table of labels; WebDataset shards; one folder
            per class, on the disk or in a tar.
        split: which part, where the form has parts: ``train``, ``validation`` or ``test`` (which is the validation
            part where there is no test part). Another part is never taken instead.
        dataset: the data set whose classes the labels are brought to by name or WordNet id (``imagenet``,
            ``cifar10``...); None: labels stay as the files have them.
        geometry: resize and crop for images of differing sizes.
        workers: decoding threads.

    Returns:
        The images; their ``remarks`` say what was chosen, left out or converted.

    Raises:
        RobenchError: no such path, nothing known there, several sets, only another split, or label names that match
            no class of ``dataset``.
    """
    classes = class_list(dataset)
    request = Request(path, split, dataset, classes, geometry, workers)
    form, images = next((name, found) for name, read in READERS.items() if (found := read(request)) is not None)
    images.remarks = (*images.remarks, *_beside(form, request))
    if dataset == "tiny-imagenet" and all(map(WORDNET_ID.fullmatch, images.classes or ("",))):
        classes = tuple(sorted(images.classes or ()))  # as in its folders; its own list of them has another order
    return images if classes is None else with_classes(images, classes, str(path))


def _digits(request: Request) -> AnyImages | None:
    from robench.data import digits

    return digits.load(request.split) if str(request.path) == "digits" else None


def _hub(request: Request) -> AnyImages | None:
    from robench.data import hub

    name = str(request.path)
    return hub.load_hub(name, request.split, **request.how) if name.startswith(hub.PREFIX) else None


def _cifar(request: Request) -> AnyImages | None:
    from robench.data import cifar

    found = cifar.find_layout(request.place, request.dataset)
    return cifar.load_cifar(request.place, request.split, request.dataset) if found else None


def _tiny(request: Request) -> AnyImages | None:
    from robench.data import tiny

    root = tiny.find_tiny(request.place)
    return tiny.load_tiny(root, request.split, **request.how) if root else None


def _saved(request: Request) -> AnyImages | None:
    from robench.data import hub

    return hub.load_saved(request.place, request.split, **request.how) if hub.is_saved(request.place) else None


def _parquet(request: Request) -> AnyImages | None:
    from robench.data import parquet

    found = parquet.find_parquet(request.place, request.split)
    return parquet.load_parquet(request.place, request.split, **request.how) if found else None


def _pair(request: Request) -> AnyImages | None:
    pair = find_pair(request.place, request.split)
    if pair is None:
        return None
    found = load_pair(*pair)
    if request.place.is_dir():
        found.remarks = (*read_instead(str(request.path), request.split, split_of_pair(pair[0])), *found.remarks)
    return found


def _flat(request: Request) -> AnyImages | None:
    from robench.data import flat

    found = flat.find_flat(request.place) if request.split != "train" else None
    return flat.load_flat(found, **request.how) if found else None


def _shards(request: Request) -> AnyImages | None:
    from robench.data import webdataset

    shards = webdataset.find_shards(request.place, request.split)
    if not shards:
        return None
    found = webdataset.load_shards(shards, **request.how)
    if request.dataset not in ("imagenet", "tiny-imagenet"):  # whose test labels are hidden
        said = read_instead(str(request.path), request.split, webdataset.split_of_shards(shards))
        found.remarks = (*said, *found.remarks)
    return found


def _folders(request: Request) -> AnyImages:
    """Read class folders, the last form that is tried, or say what is there instead."""
    from robench.data import parquet

    path, classes = request.place, request.classes
    # Folders of other data sets go by names that are matched afterwards.
    named = classes if classes is not None and WORDNET_ID.fullmatch(classes[0]) else None
    try:
        return load_folders(path, named, split=request.split, **request.how)
    except NoClassFoldersError as error:
        parquet.refuse_other_files(path, request.split)
        if path.is_dir() and not any(child.is_dir() for child in path.iterdir()):
            raise RobenchError(f"{path} does not hold images in a known form.", hint=_FORMS) from error
        raise RobenchError(error.message, hint=_FORMS) from error


READERS: dict[str, Callable[[Request], AnyImages | None]] = {
    "digits": _digits,
    "hub": _hub,
    "cifar": _cifar,
    "tiny": _tiny,
    "saved": _saved,
    "parquet": _parquet,
    "pair": _pair,
    "flat": _flat,
    "shards": _shards,
    "folders": _folders,
}
"""Every form in the order in which it is tried; a reader returns None where the place is not of its form."""


# What each form is called, and whether it is there; a reader of another package has no say here.
_WORDS = {
    "cifar": "CIFAR's own files",
    "tiny": "folders of tiny-imagenet-200",
    "saved": "files of datasets",
    "parquet": "Parquet files",
    "pair": "arrays with labels",
    "shards": "WebDataset shards",
    "folders": "class folders",
}


def _beside(form: str, request: Request) -> tuple[str, ...]:
    """Return a remark where a folder holds images in other forms than the one that was read."""
    if form not in _WORDS or not request.place.is_dir():
        return ()
    later = list(READERS)[list(READERS).index(form) + 1 :]
    others = [_WORDS[name] for name in later if name in _WORDS and _is_there(name, request)]
    if not others:
        return ()
    return (f"{request.path} holds images in several forms: {_WORDS[form]} were read, not its {', '.join(others)}.",)


def _is_there(form: str, request: Request) -> bool:
    from robench.data import cifar, folders, hub, parquet, tiny, webdataset

    place, split = request.place, request.split
    tests: dict[str, Callable[[], object]] = {
        "cifar": lambda: cifar.find_layout(place, request.dataset),
        "tiny": lambda: tiny.find_tiny(place),
        "saved": lambda: hub.is_saved(place),
        "parquet": lambda: parquet.find_parquet(place, split),
        "pair": lambda: find_pair(place, split),
        "shards": lambda: webdataset.find_shards(place, split),
        "folders": lambda: folders.has_class_folders(place, split),
    }
    try:
        return bool(tests[form]())
    except (RobenchError, OSError):  # several of them, or damaged ones: there all the same
        return True


def existing(path: str | Path) -> Path:
    """Return a path to something that is there.

    Raises:
        RobenchError: nothing is, or no file can have this name.
    """
    try:
        found = Path(path)
        if found.exists():
            return found
    except (OSError, ValueError):  # too long, or with a zero byte
        pass
    shown = str(path) if len(str(path)) <= _LONGEST_SHOWN else f"{str(path)[:_LONGEST_SHOWN]}..."
    raise RobenchError(f"{shown} does not exist.", hint="Check the path, or get the set with 'robench data list'.")


def with_classes(images: AnyImages, classes: Sequence[str], where: str) -> AnyImages:
    """Bring labels to the numbering of ``classes``: by name where the set names its labels, else by number.

    Raises:
        RobenchError: names that match no class, or label numbers beyond the classes.
    """
    labels = images.labels
    if labels is None:
        return images
    if images.classes is not None:
        images.remarks = tuple(remark for remark in images.remarks if not remark.endswith(SORTED))  # now by name
        if tuple(images.classes) != tuple(classes):
            mapped = label_map(images.classes, classes, where)
            images.labels = mapped[labels]
            if not np.array_equal(mapped, np.arange(len(mapped))):
                said = f"{where}: its classes are in another order; labels were brought to the suite's by name."
                images.remarks = (*images.remarks, said)
    elif len(labels) and (labels.min() < 0 or labels.max() >= len(classes)):
        raise RobenchError(
            f"{where}: labels go from {labels.min()} to {labels.max()}; expected 0 to {len(classes) - 1}.",
            hint="The labels belong to another data set.",
        )
    images.classes = tuple(classes)
    return images
