"""The known data sets: where they come from, and where ``robench data download`` puts them."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from functools import cache
from importlib.resources import files
from pathlib import Path
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict

from robench.errors import RobenchError, did_you_mean

LISTING = ".robench-files.tsv.gz"


class RemoteFile(BaseModel):
    """One file of a set.

    Attributes:
        url: its address at the source.
        mirrors: addresses of the same file at other hosts, asked in this order where the source fails.
        size: bytes, checked only if ``exact``; None: not known.
        md5: where one is published.
    """

    model_config = ConfigDict(extra="forbid")
    url: str
    size: int | None = None
    exact: bool = False
    md5: str | None = None
    mirrors: list[str] = []

    @property
    def name(self) -> str:
        """The file's own name."""
        return Path(urlsplit(self.url).path).name


class Entry(BaseModel):
    """One known set; see the head of ``catalogue.yaml``."""

    model_config = ConfigDict(extra="forbid")
    name: str
    title: str
    licence: str
    source: str
    files: list[RemoteFile]
    folder: str | None = None
    contents: dict[str, str] = {}
    packed: bool = False

    @property
    def size(self) -> int:
        """Bytes to download, about; files of unknown size count nothing."""
        return sum(file.size or 0 for file in self.files)


@cache
def catalogue() -> dict[str, Entry]:
    """Return the known sets by name."""
    import yaml

    rows = yaml.safe_load((files("robench.data") / "catalogue.yaml").read_text())
    return {row["name"]: Entry(**row) for row in rows}


def find_entry(name: str) -> Entry:
    """Return one known set.

    Raises:
        RobenchError: no such set; the message suggests the nearest names.
    """
    if name not in catalogue():
        raise RobenchError(f"Unknown data set '{name}'.", hint=did_you_mean(name, catalogue()))
    return catalogue()[name]


def data_root() -> Path:
    """Return the folder of downloaded sets: ``ROBENCH_DATA``, or the system's folder for a user's data."""
    if wished := os.environ.get("ROBENCH_DATA"):
        return Path(wished).expanduser()
    from platformdirs import user_data_path

    return user_data_path("robench") / "data"


def mirrors(given: Sequence[str] = ()) -> list[str]:
    """Return the mirrors that the user wishes to be asked first: those given, else ``ROBENCH_MIRROR`` (commas between).

    A mirror is a web address below which files lie as ``SET/FILE``, such as ``cifar10-c/CIFAR-10-C.tar``.

    Raises:
        RobenchError: something else.
    """
    wished = list(given) or [one for one in os.environ.get("ROBENCH_MIRROR", "").split(",") if one.strip()]
    for one in wished:
        if not re.match(r"https?://\S+$", one.strip()):
            raise RobenchError(
                f"`mirror` takes a web address; found {one[:60]!r}.", hint="For example `mirror='https://host/sets'`."
            )
    return [one.strip().rstrip("/") for one in wished]


def installed(name: str, root: Path | None = None) -> Path | None:
    """Return the folder of a set that was downloaded whole, or None."""
    folder = (root or data_root()) / name
    return folder if (folder / LISTING).is_file() else None
