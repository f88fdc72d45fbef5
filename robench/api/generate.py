"""``robench.api.generate(suite, source, out)``: corrupted test sets on disk, in the published layouts."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from robench.api.options import Names, Place
from robench.api.words import names, place, spelled_out, whole

if TYPE_CHECKING:
    from robench.evaluation import Progress


@dataclass(frozen=True)
class Generated:
    """What was written.

    Args:
        suite: the suite's name.
        folder: where it is.
        files: the files or folders, one per corruption or perturbation.
        images: clean images that each was generated from.
    """

    suite: str
    folder: Path
    files: tuple[Path, ...]
    images: int


@spelled_out()
def generate(
    suite: str,
    source: Place,
    out: Place,
    *,
    corruption: Names | None = None,
    seed: int = 0,
    difficulty: int | None = None,
    frost: Place | None = None,
    quiet: bool = False,
    progress: Progress | None = None,
) -> Generated:
    """Write a corrupted test set and verify it; what is there already is not written again.

    Args:
        suite: ``cifar10-c``, ``imagenet-p``...
        source: the clean test set: a folder, a file, or ``digits``.
        out: folder for the files.
        corruption: only these, ``"fog,snow"`` or a sequence; None: the published ones.
        seed: of the randomness.
        difficulty: of the noises of perturbation sequences, 1 to 3; None: 1.
        frost: folder with the original frost images.
        quiet: show no progress.
        progress: shows progress; None: a bar on a terminal, else plain lines.

    Raises:
        RobenchError: an unknown suite or condition, unreadable data, another set already there, or too little room.
    """
    from robench.evaluation import make_progress
    from robench.suites.generate import generate as write
    from robench.suites.generate import prepare

    whole("seed", seed, least=0, most=2**31)
    if difficulty is not None:
        whole("difficulty", difficulty, least=1, most=3)
    task = prepare(
        suite,
        str(place("source", source)),
        place("out", out),
        conditions=None if corruption is None else names("corruption", corruption),
        seed=seed,
        frost=None if frost is None else str(place("frost", frost)),
        difficulty=difficulty or 1,
    )
    unit = "frames" if task.sequences else "images"
    with progress or make_progress(suite, quiet=quiet, unit=unit) as shown:
        done = 0
        shown.start(task.images, done)

        def written(images: int, condition: str) -> None:
            nonlocal done
            done += images
            shown.advance(images, condition)

        def found(images: int, condition: str) -> None:  # no work: it says nothing of the time that the rest takes
            nonlocal done
            done += images
            if images:
                shown.start(task.images, done)

        made = write(task, written, found)
    return Generated(suite, task.out, tuple(made), len(task.clean))
