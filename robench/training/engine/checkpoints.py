"""Checkpoints: everything that a run needs to resume as if it had never stopped."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import IO, Any, cast

import torch

from robench.errors import RobenchError
from robench.files import atomic_write

FILE = "checkpoint.pt"


class _Target:
    """A file that remembers why it could not be written to: torch.save tells only that it could not."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.error: OSError | None = None

    def write(self, data: Any) -> int:
        try:
            return self._file.write(data)
        except OSError as error:
            self.error = error
            raise

    def flush(self) -> None:
        self._file.flush()


def save(path: Path, document: dict[str, Any]) -> None:
    """Write a checkpoint whole or not at all; the one before stays until then.

    Raises:
        RobenchError: the disk is full, or the folder cannot be written to.
    """
    with atomic_write(path, own=True) as file:
        target = _Target(file)
        try:
            torch.save(document, cast(IO[bytes], target))
        except RuntimeError as error:
            raise target.error or error from error


def load(path: Path, *keys: str, images: str = "") -> dict[str, Any] | None:
    """Return the checkpoint at ``path``, or None where there is none. No code in it is run.

    Args:
        path: the checkpoint's file.
        keys: of the run, in the forms of this version and of earlier ones; a checkpoint of another run is refused.
        images: digest of the training images; a checkpoint of others is refused, as far as it says of which it is.

    Raises:
        RobenchError: the file is damaged, or another recipe wrote it.
    """
    if not path.is_file():
        return None
    try:
        document: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    except (RuntimeError, EOFError, OSError, pickle.UnpicklingError) as error:
        raise RobenchError(
            f"Could not read the checkpoint {path}: {str(error).splitlines()[0]}.",
            hint="Delete it to train from the beginning.",
        ) from error
    if document.get("recipe") not in keys:
        raise RobenchError(
            f"{path} belongs to a run with other settings.",
            hint="Give another `out`, or `fresh=True` to start again there.",
        )
    if document.get("images", images) != images:
        raise RobenchError(
            f"{path} belongs to a run on other training images.",
            hint="Give the `data` of before, another `out`, or `fresh=True` to start again there.",
        )
    return document
