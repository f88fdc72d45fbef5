"""The known data sets: list, describe, download and verify them, and write DeepFashion Remixed's manifest."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from robench.api.options import Names, Place
from robench.api.words import names as listed
from robench.api.words import place, spelled_out, whole
from robench.errors import RobenchError

if TYPE_CHECKING:
    from robench.data.catalogue import Entry

    # Told the bytes that are there, and the whole, where it is known.
    Report = Callable[[int, int | None], None]


@dataclass(frozen=True)
class DataFile:
    """A file of a set at its source.

    Args:
        url: its address.
        md5: its checksum; None: not published.
    """

    url: str
    md5: str | None


@dataclass(frozen=True)
class DataSet:
    """A known data set.

    Args:
        name: as it is typed.
        title: what it is.
        licence: of its images.
        source: where it is described.
        bytes: to download; 0: not known.
        whole: whether ``bytes`` counts every file; the sizes of some are not known.
        files: to download.
        place: the folder that a download goes to.
        folder: where it is, if it was downloaded whole; else None.
    """

    name: str
    title: str
    licence: str
    source: str
    bytes: int
    whole: bool
    files: tuple[DataFile, ...]
    place: Path
    folder: Path | None


@dataclass(frozen=True)
class OtherData:
    """A set that robench reads and does not download.

    Args:
        name: the suite that reads it, or ``imagenet``.
        title: what it is.
        licence: of its images, or of what generates them; ``not stated`` where the source names none.
        source: where the files, or the way to them, are; or the command that generates from what is downloaded.
    """

    name: str
    title: str
    licence: str
    source: str


@dataclass(frozen=True)
class Verified:
    """What verifying a set found.

    Args:
        name: of the set.
        folder: that was read.
        problems: a sentence for every file that is wrong; none: all are correct.
    """

    name: str
    folder: Path
    problems: tuple[str, ...]


@spelled_out()
def list_data(*, root: Place | None = None) -> tuple[DataSet, ...]:
    """Return the known sets.

    Args:
        root: folder of all sets; None: ``ROBENCH_DATA``, else the system's folder for data.

    >>> [one.name for one in list_data() if one.name.startswith("cifar10-")]
    ['cifar10-c', 'cifar10-p']
    """
    from robench.data.catalogue import catalogue

    where = _root(root)
    return tuple(_data_set(entry, where) for entry in catalogue().values())


def list_other_data() -> tuple[OtherData, ...]:
    """Return the sets of the suites that robench does not download: their files are got by hand, or generated.

    >>> [one.name for one in list_other_data() if one.name.startswith("imagenet-v")]
    ['imagenet-v2']
    """
    from robench.api.about_suites import list_suites
    from robench.data.catalogue import catalogue

    found = [OtherData("imagenet", "ImageNet, training and validation images", _IMAGENET, "https://www.image-net.org")]
    for one in list_suites():
        suite = one.suite
        own = suite.name in catalogue() or suite.embedded or bool(suite.attacks) or suite.name in _ANY
        if not own:
            generated = one.to_get.startswith("robench data download")
            how = one.to_get if generated else suite.url or f"see `robench suites show {suite.name}`"
            found.append(OtherData(suite.name, suite.title, suite.licence or "not stated", how))
    return tuple(found)


_IMAGENET = "ImageNet's terms (research only)"
_ANY = ("clean", "ood")  # suites of any images of the user's


@spelled_out()
def describe_data(name: str, *, root: Place | None = None) -> DataSet:
    """Return what is known of a set.

    Raises:
        RobenchError: no such set; the message suggests the nearest names.
    """
    from robench.data.catalogue import find_entry

    return _data_set(find_entry(name), _root(root))


@spelled_out()
def download_data(
    names: Names,
    *,
    root: Place | None = None,
    mirror: Sequence[str] = (),
    retries: int = 8,
    report: Callable[[str], Report] | None = None,
    notify: Callable[[str], None] | None = None,
) -> tuple[Path, ...]:
    """Download, check and unpack sets, and return their folders; what is there is left as it is.

    Args:
        names: of the sets.
        root: folder of all sets; None: ``ROBENCH_DATA``, else the system's folder for data.
        mirror: web addresses that hold SET/FILE, asked before the set's own host; none: ``ROBENCH_MIRROR``.
        retries: how often a broken download is resumed.
        report: gives, for a file's name, the function that is told the bytes that are there and the whole.
        notify: told, in a sentence, why there is a pause or another host.

    Raises:
        RobenchError: an unknown set, no space, a download that fails, or wrong bytes.
    """
    from robench.data.catalogue import find_entry
    from robench.data.install import install

    where = _root(root)
    whole("retries", retries, least=0, most=1000)
    entries = [find_entry(name) for name in listed("names", names)]
    hosts = [mirror] if isinstance(mirror, str) else mirror
    return tuple(
        install(entry, where, mirror=hosts, report=report, notify=notify, retries=retries) for entry in entries
    )


@spelled_out()
def verify_data(name: str, *, data: Place | None = None, root: Place | None = None) -> Verified:
    """Check every file of a set.

    Args:
        name: of the set.
        data: folder of a copy; None: the downloaded one.
        root: folder of all sets, as for :func:`download_data`.

    Raises:
        RobenchError: an unknown set, none there, or nothing to compare it with.
    """
    from robench.data.catalogue import find_entry, installed
    from robench.data.install import verify

    entry = find_entry(name)
    folder = installed(name, _root(root)) if data is None else place("data", data)
    if folder is None:
        raise RobenchError(f"{name} is not installed.", hint=f"Set `data`, or run `robench data download {name}`.")
    if not folder.is_dir():
        what = "is a file, not a folder" if folder.exists() else "does not exist"
        raise RobenchError(f"{folder} {what}.", hint="Give the folder of the set in `data`.")
    return Verified(name, folder, tuple(verify(folder, entry)))


@spelled_out()
def dfr_manifest(root: Place, *, out: Place | None = None) -> Path:
    """Write DeepFashion Remixed's manifest from DeepFashion2's annotations, and return its path.

    Args:
        root: DeepFashion2's folder, with train and validation in it.
        out: the file; None: ``manifest.csv`` in the folder.

    Raises:
        RobenchError: no annotations, or damaged ones.
    """
    from robench.data.deepfashion2 import write_manifest

    return write_manifest(place("root", root), None if out is None else place("out", out))


def _root(given: Place | None) -> Path:
    from robench.data.catalogue import data_root

    return data_root() if given is None else place("root", given)


def _data_set(entry: Entry, root: Path) -> DataSet:
    from robench.data.catalogue import installed

    return DataSet(
        entry.name,
        entry.title,
        entry.licence,
        entry.source,
        entry.size,
        all(file.size for file in entry.files),
        tuple(DataFile(file.url, file.md5) for file in entry.files),
        root / entry.name,
        installed(entry.name, root),
    )
