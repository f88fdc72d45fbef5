"""Features of a frozen backbone, computed once and kept in blocks, so that a computation that was stopped resumes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from robench.errors import RobenchError
from robench.files import atomic_write, digest, require_space
from robench.processes import dtype_of
from robench.suites import OpenOptions, fit_to_model, open_suite
from robench.training.engine.logs import Progress
from robench.training.engine.network import Network

if TYPE_CHECKING:
    from robench.models.backbones import Backbone
    from robench.suites import OpenSuite
    from robench.training.probe.options import Settings

_BLOCK = 4096


@dataclass(frozen=True)
class Features:
    """Features and labels of one split.

    Args:
        values: float32 (N, d).
        labels: int64 (N,).
        classes: names by label, or None.
        num_classes: K of the data.
        checksum: of the images.
    """

    values: torch.Tensor
    labels: torch.Tensor
    classes: tuple[str, ...] | None
    num_classes: int
    checksum: str


def open_split(data: str, split: str, backbone: Backbone, limit: int | None = None) -> OpenSuite:
    """Open one split of labelled images, sized for the backbone as an evaluation sizes them.

    Raises:
        RobenchError: nothing usable at ``data``, no labels, or no such split.
    """
    opened = open_suite("clean", Path(data) if data != "digits" else None, OpenOptions(split=split, limit=limit))
    return fit_to_model(opened, backbone.preprocessing.geometry)


def features_of(
    opened: OpenSuite, backbone: Backbone, settings: Settings, place: Path, device: torch.device, *, quiet: bool
) -> Features:
    """Return the features of an open split; blocks that are kept are not computed again.

    Args:
        opened: the images.
        backbone: the encoder.
        settings: batch size and precision.
        place: folder under which blocks are kept, by content.
        device: that the encoder runs on.
        quiet: show no progress.

    Raises:
        RobenchError: unreadable images, no room on the disk, or features that are not finite.
    """
    cell = opened.suite.cells[0]
    count = opened.length(cell)
    folder = place / features_key(opened, backbone, settings)[:40]
    network = Network(
        backbone.module.to(device), backbone.preprocessing.mean, backbone.preprocessing.std, device, _autocast(settings)
    )
    split = opened.options.split or "test"
    progress = Progress(f"features of the {split} images", count, 0, quiet, "images")
    values, labels = [], []
    for start in range(0, count, _BLOCK):
        stop = min(start + _BLOCK, count)
        block = _kept(folder / f"{start:09}.npz", stop - start)
        if block is not None:
            progress.show(stop, stop, "")
        else:
            block = _computed(opened, network, settings.batch_size, start, stop, progress)
            require_space(place, 2 * block[0].nbytes)
            _keep(folder / f"{start:09}.npz", *block)
        values.append(torch.from_numpy(block[0]))
        labels.append(torch.from_numpy(block[1]))
    classes = tuple(opened.classes) if opened.classes is not None else None
    return Features(
        torch.cat(values), torch.cat(labels), classes, opened.suite.num_classes, str(opened.protocol["checksum"])
    )


def features_key(opened: OpenSuite, backbone: Backbone, settings: Settings) -> str:
    """Return the SHA-256 of all that features depend on: images, their size, the backbone and its precision."""
    how = replace(backbone.preprocessing, origin="").record()
    limit = opened.options.limit
    return digest(
        _plain(
            {
                "version": 1,
                "images": opened.protocol,
                "limit": limit,
                "backbone": backbone.hash,
                "preprocessing": how,
                "precision": settings.precision,
            }
        )
    )


@torch.inference_mode()
def _computed(
    opened: OpenSuite, network: Network, batch_size: int, start: int, stop: int, progress: Progress
) -> tuple[np.ndarray, np.ndarray]:
    cell, values, labels, done = opened.suite.cells[0], [], [], start
    for batch in opened.batches(cell, batch_size, start=start, stop=stop, device=str(network.device)):
        if not len(batch.index):
            continue
        values.append(network(batch.images).float().cpu().numpy())
        labels.append(batch.target)
        done += len(batch.index)
        progress.show(done, done, "")
    found = np.concatenate(values).astype(np.float32, copy=False)
    if not np.isfinite(found).all():
        raise RobenchError(
            "The backbone's features are not finite.",
            hint="Its weights are damaged, or its preprocessing is another; with bf16 try `set='precision=fp32'`.",
        )
    return found, np.concatenate(labels).astype(np.int64)


def _autocast(settings: Settings) -> torch.dtype | None:
    return None if settings.precision == "fp32" else dtype_of(settings.precision)


def _plain(value: object) -> object:
    import json

    return json.loads(json.dumps(value, default=str))


def _kept(path: Path, count: int) -> tuple[np.ndarray, np.ndarray] | None:
    """Return a block; None where there is none, or it is damaged."""
    import zipfile

    try:
        with np.load(path, allow_pickle=False) as file:
            values, labels = file["values"], file["labels"]
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return None
    return (values, labels) if len(values) == len(labels) == count and values.ndim == 2 else None


def _keep(path: Path, values: np.ndarray, labels: np.ndarray) -> None:
    with atomic_write(path, own=True) as file:
        np.savez(file, values=values, labels=labels)
