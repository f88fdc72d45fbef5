"""DeepAugment's sets in memory: every training image once through a distorted network, before the first step.

On a CPU that takes longer than many an epoch, so what is done lies in a file of the run's folder until the run is
finished: a run that was stopped goes on where it was.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np
import torch

from robench.training.networks.distorter import Distorter, distorted_groups

_GROUP = 64


def made(
    distorter: Distorter,
    images: torch.Tensor,
    random: np.random.Generator,
    kept: Path | None = None,
    after: Callable[[int], None] = lambda _: None,
) -> torch.Tensor:
    """Return every image once through the distorted network: uint8 (N, 3, H, W), on the images' device.

    Args:
        distorter: on the images' device.
        images: uint8 (N, 3, H, W).
        random: of the distortions.
        kept: folder in which finished images are kept; None: they are not.
        after: called with the number of images that are done, at the beginning and after every group.
    """
    found = torch.empty_like(images)
    file = None if kept is None else kept / f"{_key(distorter, images, random)}.pixels"
    done = 0 if file is None else _read(file, found)
    after(done)
    for group in distorted_groups(distorter, images, random, _GROUP, done):
        found[done : done + len(group)] = group
        done += len(group)
        # The file saves time, no result: a full disk does not end the run.
        if file is not None:
            with suppress(OSError):
                _append(file, group, done)
        after(done)
    return found


def _key(distorter: Distorter, images: torch.Tensor, random: np.random.Generator) -> str:
    """Return what the set depends on: weights, precision, images, and the state of the generator."""
    found = hashlib.sha256(f"{random.bit_generator.state} {distorter.autocast}".encode())
    for tensor in (*distorter.weights.values(), images):
        found.update(np.ascontiguousarray(tensor.cpu().numpy()).data)
    return found.hexdigest()[:16]


def _read(file: Path, found: torch.Tensor) -> int:
    """Read the groups that a file holds whole into ``found``, and return the number of their images."""
    if not file.is_file() or not len(found):
        return 0
    pixels = np.fromfile(file, np.uint8)
    count = min(len(pixels) // found[0].numel(), len(found))
    count = count if count == len(found) else count - count % _GROUP
    found[:count] = torch.from_numpy(pixels[: count * found[0].numel()]).view(count, *found.shape[1:])
    return count


def _append(file: Path, group: torch.Tensor, done: int) -> None:
    """Write the group at its place: one that was cut off before is written over."""
    file.parent.mkdir(parents=True, exist_ok=True)
    pixels = group.cpu().numpy()
    with file.open("r+b" if file.exists() else "wb") as stream:
        place = (done - len(group)) * pixels[0].nbytes
        if stream.seek(0, 2) >= place:
            stream.seek(place)
            stream.write(pixels.tobytes())
