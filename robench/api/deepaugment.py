"""``robench.api.deepaugment(network, source, out)``: DeepAugment's training images, written once."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from robench.api.options import Place
from robench.api.words import one_of, place, spelled_out, whole
from robench.errors import RobenchError

if TYPE_CHECKING:
    from robench.evaluation import Progress

NETWORKS = ("edsr", "cae")


@dataclass(frozen=True)
class WrittenSet:
    """DeepAugment's images of one network.

    Args:
        network: ``edsr`` or ``cae``.
        folder: with the source's class folders and file names.
        images: of the source.
        written: by this call; the others were there already.
        unreadable: a message for every image that could not be read, and has no copy.
    """

    network: str
    folder: Path
    images: int
    written: int
    unreadable: tuple[str, ...]


@spelled_out()
def deepaugment(
    network: str,
    source: Place,
    out: Place,
    *,
    weights: Place | None = None,
    seed: int = 0,
    workers: int | None = None,
    device: str | None = None,
    quiet: bool = False,
    progress: Progress | None = None,
) -> WrittenSet:
    """Pass every training image once through a distorted network, as DeepAugment's published scripts do.

    A call that was stopped is taken up again: files that are there are not written again.

    Args:
        network: ``edsr`` (shorter side 128 pixels in, 512 out) or ``cae`` (512 pixels).
        source: class folders of images (or a folder with them in ``train``).
        out: folder for the files.
        weights: of the trained network: a folder that ``robench train`` wrote, or the published file; None:
            ``runs/edsr-imagenet`` or ``runs/cae-imagenet``.
        seed: of the distortions.
        workers: processes on the CPU; None: one per core.
        device: ``cpu``, ``cuda``...; None: a GPU where there is one, with one process.
        quiet: show no progress.
        progress: shows progress; None: a bar on a terminal, else plain lines.

    Raises:
        RobenchError: an unknown network, no weights, no class folders, or another set in ``out``.
    """
    from robench.evaluation import make_progress
    from robench.processes import resolve_device
    from robench.training.networks import static_set

    one_of("network", network, NETWORKS)
    whole("seed", seed, least=0, most=2**31)
    if workers is not None:
        whole("workers", workers, least=1, most=4096)
    where = resolve_device(device)
    if where != "cpu" and workers not in (None, 1):
        raise RobenchError(f"`workers` has no effect on {where}.", hint="Omit `workers`, or use `device='cpu'`.")
    found = _weights(network) if weights is None else place("weights", weights)
    task = static_set.prepare(found, network, place("source", source), place("out", out), seed, where)
    lacking = len(task.lacking)
    with progress or make_progress(f"DeepAugment, {network}", quiet=quiet) as shown:
        shown.start(len(task.files), len(task.files) - lacking)
        processes = 1 if where != "cpu" else workers or static_set.cores()
        unreadable = static_set.write(task, workers=processes, after=lambda count: shown.advance(count, network))
    return WrittenSet(network, task.out, len(task.files), lacking - len(unreadable), unreadable)


def _weights(network: str) -> Path:
    for folder in (Path("runs") / f"{network}-imagenet", Path("runs") / network):
        if (folder / "weights.safetensors").is_file():
            return folder
    raise RobenchError(
        f"No weights of {network} in runs/{network}-imagenet.",
        hint=f"Train them, `robench.train('{network}-imagenet')`, or give `weights`: a trained folder, or the file"
        " published with hendrycks/imagenet-r.",
    )
