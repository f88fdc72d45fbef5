"""Writes corrupted test sets to disk in the published layouts, from clean images; a stopped run goes on.

* CIFAR-C (and digits-c): ``CORRUPTION.npy``, uint8 (5 N, H, W, 3) with severity s in rows (s-1) N to s N - 1, and
  ``labels.npy`` (5 N,), one file for all.
* CIFAR-P (and digits-p): ``PERTURBATION.npy``, uint8 (N, T, H, W, 3), no labels.
* ImageNet-C and Tiny-ImageNet-C: ``CORRUPTION/SEVERITY/CLASS/NAME.JPEG`` at quality 85.
* ImageNet-P: ``PERTURBATION/CLASS/NAME.mp4``, 31 frames (translate 41) of 224 x 224.

Source of the layouts: hendrycks/robustness, ``create_c`` and ``create_p``.
"""

from __future__ import annotations

import json
import math
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from robench.corruptions.perturbations import ALL_PERTURBATIONS, DIFFICULTIES
from robench.corruptions.registered import CORRUPTIONS
from robench.cpu import cores
from robench.data import open_images
from robench.data.decode import CorruptImageError
from robench.data.video import check_clip
from robench.errors import RobenchError, did_you_mean
from robench.files import remove_leftovers, require_space, write_json
from robench.suites import generate_files as files
from robench.suites import get
from robench.suites.base import Layout, OpenOptions, Suite
from robench.suites.checks import check_clean, wrong_side
from robench.suites.copies import found_copy
from robench.suites.frosted import frost_record, with_frost
from robench.suites.generate_task import Task
from robench.suites.origin import KIND, MARK
from robench.suites.protocols import SEVERITIES

_OTHERS = "'robench suites list' says which suites are generated."

_SPARE = 1.05
"""Space asked for beyond the files themselves, as a factor."""

_SHARE = {"tree": 0.3, "clips": 0.2}
"""What compression leaves of the pixels' bytes, at most: noise takes more than blur."""

_WRITERS = {
    "blocks": files.write_blocks,
    "sequences": files.write_sequence,
    "tree": files.write_tree,
    "clips": files.write_clips,
}


def prepare(
    suite: str,
    source: str | Path,
    out: str | Path,
    *,
    conditions: tuple[str, ...] | None = None,
    seed: int = 0,
    frost: str | None = None,
    difficulty: int = 1,
) -> Task:
    """Open the clean set and check that what is wanted can be made.

    Args:
        suite: the name of a suite that has a layout.
        source: the clean test set, in any form that ``open_images`` reads.
        out: folder for the files.
        conditions: which corruptions or perturbations; None: the published ones.
        seed: of the randomness.
        frost: folder with the original frost images; None: the textures that the suite takes on the fly.
        difficulty: 1, 2 or 3, of the noises of perturbation sequences.

    Raises:
        RobenchError: an unknown suite or condition, unreadable data, another set already there, or too little space.
    """
    row = get(suite)
    layout = row.layout
    if layout is None:
        raise RobenchError(f"robench cannot generate {suite}: its images are published files only.", hint=_OTHERS)
    _check_wishes(row, layout, conditions, difficulty)
    if Path(source).resolve() == Path(out).resolve():
        raise RobenchError(
            f"{out} holds the clean images; the corrupted ones would lie among them.",
            hint="Choose another folder: `out`.",
        )
    clean = open_images(source, dataset=row.dataset, geometry=layout.geometry)
    if layout.kind in ("blocks", "sequences"):
        check_clean(row, clean, str(source))
    frost = with_frost(row, OpenOptions(frost_dir=frost)).frost_dir
    task = Task(suite, layout, clean, Path(out), conditions or row.benchmark, seed, frost, difficulty)
    if row.side is not None and task.shape[:2] != (row.side, row.side):
        raise wrong_side(f"{source}, for {suite}", task.shape[:2], row.side)
    _claim(task)
    _check_room(task)
    return task


def _check_wishes(row: Suite, layout: Layout, conditions: tuple[str, ...] | None, difficulty: int) -> None:
    """Refuse conditions that robench cannot make, and difficulties that a suite does not have."""
    sequences = layout.kind in ("sequences", "clips")
    known = list(ALL_PERTURBATIONS) if sequences else list(CORRUPTIONS)
    for name in conditions or ():
        if name not in known:
            raise RobenchError(f"{row.name} has no condition '{name}'.", hint=did_you_mean(name, known))
    if difficulty not in (DIFFICULTIES if sequences else (1,)):
        raise RobenchError(
            f"{row.name} has no difficulty {difficulty}.",
            hint="Sequences (-p) have difficulties 1, 2 and 3; corruptions (-c) have severities, which are all made.",
        )


def generate(task: Task, told: files.Told | None = None, found: files.Told | None = None) -> list[Path]:
    """Write what is not there yet and return the files or folders, one per condition.

    A file appears whole or not at all, so the same call goes on after any stop. The randomness is that of
    :func:`robench.corruptions.corrupt`, keyed by the image's number: on-the-fly suites with this seed show the same
    images.

    Args:
        task: from :func:`prepare`.
        told: called with the number of images finished and the condition they belong to.
        found: called so for images that were there before; None: as ``told``.

    Raises:
        RobenchError: an image cannot be read, or the disk is full.
    """
    write = _WRITERS[task.layout.kind]
    if task.layout.kind == "blocks":
        files.write_labels(task)
    told = told or _silent
    made = [write(task, name, told, found or told) for name in task.conditions]
    verify(task)
    return made


def verify(task: Task) -> None:
    """Check shapes, counts and types of everything that was written.

    Raises:
        RobenchError: names the first file that is wrong.
    """
    check = {"tree": _verify_tree, "clips": _verify_clips}.get(task.layout.kind, _verify_array)
    for name in task.conditions:
        check(task, name)


def _verify_tree(task: Task, name: str) -> None:
    for severity in SEVERITIES:
        for path in files.places(task, f"{name}/{severity}", ".JPEG"):
            if not path.is_file():
                raise _wrong(path, "an image", "nothing")


def _verify_clips(task: Task, name: str) -> None:
    def check(path: Path) -> None:
        try:
            check_clip(path, task.frames(name), task.shape[:2])
        except CorruptImageError as error:
            raise RobenchError(str(error), hint="Remove it and generate it again.") from error

    with ThreadPoolExecutor(cores()) as pool:
        list(pool.map(check, files.places(task, task.stored(name), ".mp4")))


def _verify_array(task: Task, name: str) -> None:
    path = task.out / f"{task.stored(name)}.npy"
    try:
        array = np.load(path, mmap_mode="r")
    except (OSError, ValueError, EOFError) as error:
        raise _wrong(path, "an array", f"a damaged file ({error})") from error
    rows = len(task.clean) if task.sequences else len(task.clean) * len(SEVERITIES)
    if array.dtype != np.uint8 or len(array) != rows:
        raise _wrong(path, f"uint8 of {rows} rows", f"{array.dtype} of shape {array.shape}")


def _claim(task: Task) -> None:
    """Record what the folder is made of, or refuse one that is made of something else."""
    record = {
        "kind": KIND,
        "suite": task.suite,
        "version": get(task.suite).version,
        "clean": task.clean.checksum(),
        "seed": task.seed,
        "frost": frost_record(get(task.suite), OpenOptions(frost_dir=task.frost)).get("frost"),
    }
    path = task.out / MARK
    if path.exists():
        try:
            there = {"version": 1} | dict(json.loads(path.read_text()))  # the first version's marks say none
        except (OSError, ValueError, TypeError) as error:
            raise RobenchError(f"{path} cannot be read: {error}", hint="Choose another folder: `out`.") from error
        differing = [key for key in record if there.get(key) != record[key]]
        if differing:
            raise RobenchError(
                f"{task.out} holds a set that differs in {', '.join(differing)}.",
                hint="Choose another folder: `out`.",
            )
        return
    suffix = "" if task.layout.kind in ("tree", "clips") else ".npy"
    names = [f"{task.stored(name)}{suffix}" for name in task.conditions]
    strange = [name for name in ("labels.npy", *names) if (task.out / name).exists()]
    if strange:
        # They would be kept as if they had been made here, and a published set would be marked as generated.
        raise RobenchError(
            f"{task.out} holds {', '.join(strange[:3])}, which robench did not write.",
            hint="Choose another folder: `out`.",
        )
    copy = found_copy(get(task.suite).dataset, task.clean)
    write_json(path, record | ({"dataset": copy} if copy is not None else {}), own=True)


def _check_room(task: Task) -> None:
    share = _SHARE.get(task.layout.kind, 1.0)
    needed = int(_SPARE * share * task.images * math.prod(task.shape))
    written = 0
    for path in (task.out, *task.out.rglob("*")):
        if path.is_dir():
            remove_leftovers(path)  # of a run that was killed
        elif not path.name.endswith(".part"):
            written += path.stat().st_size
    require_space(task.out, needed - written)


def _wrong(path: Path, expected: str, found: str) -> RobenchError:
    return RobenchError(f"{path}: expected {expected}, found {found}.", hint="Remove it and generate it again.")


def _silent(images: int, condition: str) -> None:
    """Say nothing."""
