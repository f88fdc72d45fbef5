"""A run recognises its model: logits for a few images are kept with it and compared when it is resumed.

A hash cannot always prove that two functions compute the same: one may close over a network, read a file, or be a
method of an object. So a run's folder keeps the logits of its first images. A model that gives other logits for them
gets neither new cells nor the old result, nor does the same model on other images.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal

import torch
from pydantic import BaseModel, ConfigDict, ValidationError

from robench.errors import RobenchError
from robench.evaluation.batching import undisturbed
from robench.evaluation.fingerprints import fingerprints
from robench.evaluation.forward import Forward
from robench.files import read_document, write_json
from robench.models.outputs import parts_seen
from robench.predictions import RunFolder
from robench.suites.base import Cell
from robench.suites.opened import OpenSuite

IMAGES = 4
FILE = "probe.json"
_SUM_TOLERANCE = 0.01  # of a softmax in bfloat16
_CLASSES = 100  # at most, evenly spread over the model's
# Largest difference of logits, relative to the largest logit: with the same PyTorch on the same kind of device, and
# otherwise, where convolutions may use TF32.
_SAME = {"fp32": 1e-3, "bf16": 0.02, "fp16": 0.02}
_OTHER = {"fp32": 0.02, "bf16": 0.1, "fp16": 0.1}


class OtherModelError(RobenchError):
    """A run's folder holds predictions of another model, or of other images."""


class Logits(BaseModel):
    """A model's logits for some images, rounded.

    Args:
        rows: one per image, of every ``step``-th class, to six digits.
        step: distance of the classes that are kept.
        precision, pytorch, device: number format, version and hardware it was run with.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    rows: tuple[tuple[float, ...], ...]
    step: int
    precision: str
    pytorch: str
    device: str

    @classmethod
    def of(cls, logits: torch.Tensor, precision: str, device: str) -> Logits:
        """Return what is kept of logits.

        Args:
            logits: finite, shape (n, K).
            precision: number format they were computed in.
            device: name of the device.
        """
        step = -(-logits.shape[1] // _CLASSES)
        return cls(
            rows=tuple(tuple(float(f"{v:.6g}") for v in row) for row in logits[:, ::step].tolist()),
            step=step,
            precision=precision,
            pytorch=torch.__version__,
            device=torch.cuda.get_device_name(device) if device.startswith("cuda") else device,
        )


class Probe(BaseModel):
    """A model's logits for the first images of a cell.

    Args:
        cell: the cell's name.
        images: fingerprints of the images' pixels, as strings: 64 bits are more than many readers of JSON keep.
        logits: None where the model gives different ones each time.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    kind: Literal["robench-probe"] = "robench-probe"
    cell: str
    images: tuple[str, ...]
    logits: Logits | None


def check_model(run: RunFolder, forward: Forward, suite: OpenSuite) -> None:
    """Compare the model with the one that the run was started with; of a new run, store the model's logits.

    Nothing is compared in runs of earlier versions, which have no probe, nor for models whose logits for the same
    images differ from call to call.

    Args:
        run: the run.
        forward: the model's forward pass.
        suite: the suite, opened.

    Raises:
        OtherModelError: the model or the images differ.
        RobenchError: the folder cannot be written to, or the model averages what are probabilities already.
    """
    with parts_seen() as parts:
        known = _compare(run.path, forward, suite) or any(run.has(cell) for cell in run.record.cells)
        found = None if known else take(forward, suite)
    for whose, logits in parts:
        _refuse_probabilities(whose, logits)
    if found is not None:
        write_json(run.path / FILE, found.model_dump(mode="json"), own=True)


def _refuse_probabilities(whose: str, logits: torch.Tensor) -> None:
    """Refuse a part of an average of probabilities that returns them itself; in the average nothing would show it."""
    sums = logits.float().sum(1)
    if float(logits.min()) >= 0.0 and float(logits.max()) <= 1.0 and bool(((sums - 1.0).abs() < _SUM_TOLERANCE).all()):
        raise RobenchError(
            f"{whose} returns probabilities, in [0, 1] with a sum of 1, and is taken for one that returns logits: the"
            " mean would be of another softmax.",
            hint="Let it return logits, or the logarithm of its probabilities. An ensemble averages outputs as they are"
            " with `ensemble='mean-logit'`.",
        )


def _compare(folder: Path, forward: Forward, suite: OpenSuite) -> bool:
    """Compare with the probe in a folder; return whether it has one."""
    there = _read(folder / FILE)
    found = take(forward, suite, there.cell) if there is not None else None
    if there is None or found is None:
        return there is not None
    if found.images != there.images:
        raise OtherModelError(
            f"{folder} holds predictions for other images: the first of '{there.cell}' differ in their pixels.",
            hint="Something outside the suite's record changed them. Choose another folder: `out`.",
        )
    if there.logits is None or found.logits is None:
        return True
    if (distance := apart(there.logits, found.logits)) is not None:
        raise OtherModelError(
            f"{folder} holds predictions of another model: for the same {len(found.images)} images its logits differ"
            f" by up to {100 * distance:.2g} % of the largest.",
            hint="Choose another folder: `out`; one run holds one model.",
        )
    return True


def is_run_of(folder: Path, forward: Forward, suite: OpenSuite) -> bool:
    """Return whether a folder's run can be of this model: whether its probe does not contradict it.

    Args:
        folder: the run's folder.
        forward: the model's forward pass.
        suite: the suite, opened.
    """
    try:
        _compare(folder, forward, suite)
    except OtherModelError:
        return False
    return True


def take(forward: Forward, suite: OpenSuite, cell: str | None = None) -> Probe | None:
    """Run the model on the first images of a cell; None where they cannot be read, or the model fails on them.

    Args:
        forward: the forward pass.
        suite: the suite, opened.
        cell: the cell's name; None: the clean one where there is one, else the first.
    """
    cells = {known.name: known for known in suite.suite.cells}
    chosen = cells.get(cell or suite.suite.clean or "") or (None if cell else suite.suite.cells[0])
    if chosen is None:
        return None
    try:
        images = _first_images(suite, chosen, forward.device)
        with undisturbed(forward):
            rows = [row for _ in range(2) if (row := _logits(forward, images)) is not None]
    except (RobenchError, torch.OutOfMemoryError):  # reported when the cell is measured
        return None
    if images is None or len(rows) < 2:
        return None
    return Probe(
        cell=chosen.name,
        images=tuple(str(number) for number in fingerprints(images).tolist()),
        logits=repeatable(rows, forward.precision, forward.device),
    )


def repeatable(rows: Sequence[torch.Tensor], precision: str, device: str) -> Logits | None:
    """Return the logits that a model gave twice for the same images; None where the two differ.

    Args:
        rows: two tensors of finite logits, shape (n, K).
        precision: number format they were computed in.
        device: name of the device.
    """
    kept, again = (Logits.of(row, precision, device) for row in rows)
    return kept if apart(kept, again) is None else None


def apart(one: Logits, other: Logits) -> float | None:
    """Return the largest difference of two models' logits, relative to the largest; None within rounding noise.

    >>> one, other = (Logits.of(torch.tensor([[scale, 0.0]]), "fp32", "cpu") for scale in (4.0, 3.0))
    >>> apart(one, other), apart(one, one)
    (0.25, None)
    """
    a, b = (torch.tensor(logits.rows, dtype=torch.float64) for logits in (one, other))
    if a.shape != b.shape or one.step != other.step:
        return 1.0
    same = (one.pytorch, one.device) == (other.pytorch, other.device)
    allowed = max((_SAME if same else _OTHER).get(logits.precision, 0.1) for logits in (one, other))
    distance = float((a - b).abs().max() / torch.maximum(a.abs().max(), b.abs().max()).clamp(min=1e-12))
    return distance if distance > allowed else None


def free_folder(folder: Path, fits: Callable[[Path], bool], say: Callable[[str], None] = lambda _: None) -> Path:
    """Return the folder, or ``FOLDER-2``, ``FOLDER-3``... where it holds a run of another model.

    Args:
        folder: the preferred one.
        fits: whether a folder that is there holds this model's run.
        say: called with a sentence where it is not the preferred one.
    """
    number, candidate = 1, folder
    while (candidate / "run.json").exists() and not fits(candidate):
        number += 1
        candidate = folder.with_name(f"{folder.name}-{number}")
    if number > 1:
        say(f"{folder} holds predictions of another model with the same name and code; using {candidate}.")
    return candidate


def _first_images(suite: OpenSuite, cell: Cell, device: str) -> torch.Tensor | None:
    few = suite.with_limit(IMAGES)  # the same ones, however many images a run draws
    for batch in few.batches(cell, IMAGES, device=device):
        if len(batch.index):
            return batch.images[:IMAGES]
    return None


def _logits(forward: Forward, images: torch.Tensor | None) -> torch.Tensor | None:
    if images is None:
        return None
    torch.manual_seed(0)
    found: Any = forward(images, compiled=False)
    if not isinstance(found, torch.Tensor) or found.ndim != 2 or len(found) != len(images):
        return None
    if not bool(torch.isfinite(found).all()):
        return None
    return found.float().cpu()


def _read(path: Path) -> Probe | None:
    """Return the probe of a run; None where there is none, or a damaged one, which proves nothing."""
    try:
        return Probe.model_validate(read_document(path, "probe of the run")) if path.exists() else None
    except (RobenchError, ValidationError):
        return None
