"""Checkpoints: everything that a run needs to resume as if it had never stopped."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import torch

from robench.errors import RobenchError
from robench.files import atomic_write

FILE = "checkpoint.pt"


def save(path: Path, document: dict[str, Any]) -> None:
    """Write a checkpoint whole or not at all."""
    with atomic_write(path, own=True) as file:
        torch.save(document, file)


def load(path: Path, recipe: str) -> dict[str, Any] | None:
    """Return the checkpoint at ``path``, or None where there is none. No code in it is run.

    Args:
        path: the checkpoint's file.
        recipe: digest of the resolved recipe; a checkpoint of another recipe is refused.

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
    if document.get("recipe") != recipe:
        raise RobenchError(
            f"{path} belongs to a run with other settings.",
            hint="Give another `out`, or `fresh=True` to start again there.",
        )
    return document
