"""The record of a run about to be measured, and its default folder."""

from __future__ import annotations

import json
import platform
import re
import shlex
import sys
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch

from robench._version import __version__
from robench.errors import RobenchError
from robench.evaluation.forward import Forward
from robench.evaluation.options import EvaluationOptions, kept_logits
from robench.evaluation.pieces import whole_of
from robench.evaluation.probe import free_folder, is_run_of
from robench.models.base import Model
from robench.predictions import Environment, ModelInfo, RunIdentity, RunRecord, SuiteInfo
from robench.suites.opened import OpenSuite


def make_record(model: Model, suite: OpenSuite, options: EvaluationOptions) -> RunRecord:
    """Return the record of a run: equal identities mean equal predictions up to float noise.

    The identity holds the suite's protocol, the model's hash and preprocessing, the precision and the columns
    kept; not the batch size, the device or the number of processes.

    Args:
        model: the model, as :func:`prepare` returns it.
        suite: the suite, opened.
        options: of the evaluation.
    """
    definition = suite.suite
    _refuse_batches_of_frames(model, suite)
    suite_record = suite_info(suite, model)
    identity: dict[str, Any] = {
        "protocol": suite_record.protocol,
        "model": model.hash,
        "preprocessing": _numbers(model),
        "precision": options.precision,
        "logits": options.keeps_logits(kept_logits(definition)),
    }
    if (scaled := _scaled_by_options(model, suite)) is not None:
        identity["scaled_to"] = scaled
    return RunRecord(
        identity=RunIdentity(**_plain(identity)),
        cells=tuple(cell.name for cell in definition.cells),
        suite=suite_record,
        model=ModelInfo(**_plain(model.record())),
        environment=environment(options, model),
        command=command_line(),
        remarks=tuple(suite.remarks),
    )


def prepare(model: Model, options: EvaluationOptions, say: Callable[[str], None]) -> Model:
    """Return the model as it will be run, with batch norms folded if asked for; its card records what was done.

    Args:
        model: the model.
        options: whether it is folded and compiled.
        say: called with a sentence about the folding.
    """
    if options.compile:
        model = replace(model, card=model.card | {"compiled": True})
    if not options.fold:
        return model
    from robench.models.folding import fold

    branch = branch_of(model)
    model, done = fold(model)
    say(f"{model.name}: {done}")
    if branch_of(model) != branch:  # the routes that are not taken went with the folding
        model = replace(model, card=model.card | {"branch": branch})
    return model


def logits_not_kept(suite: OpenSuite, options: EvaluationOptions) -> str | None:
    """Return a sentence where the logits will not be kept though nobody chose that: calibration needs them later."""
    classes = kept_logits(suite.suite)
    if options.keep_logits is not None or options.keeps_logits(classes) or suite.suite.task != "classification":
        return None
    gigabytes = 4e-9 * classes * sum(whole_of(suite, cell).passes for cell in suite.suite.cells)
    return (
        f"Logits of {classes:,} classes are not kept; `robench calibrate` needs them. Keep them with keep_logits=yes"
        f" ({gigabytes:.1f} GB)."
    )


def default_folder(
    model: Model,
    suite: OpenSuite,
    options: EvaluationOptions,
    root: Path = Path("runs"),
    *,
    say: Callable[[str], None] = lambda _: None,
) -> Path:
    """Return ``runs/SUITE/MODEL-HASH``: the same call finds its own run again, any other call another folder.

    Where that folder holds a run of a model with other logits, it is ``MODEL-HASH-2``, and so on: two functions may
    have the same hash.

    Args:
        model: the model.
        suite: the suite, opened.
        options: of the evaluation.
        root: the folder of all runs.
        say: called with a sentence where it is not the first of these.
    """
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", model.name).strip("-.")[:60] or "model"
    first = root / suite.suite.name / f"{name}-{make_record(model, suite, options).hash[:8]}"
    return free_folder(first, lambda folder: is_run_of(folder, Forward(model, options), suite), say)


def suite_info(suite: OpenSuite, model: Model) -> SuiteInfo:
    """Return what the record keeps of the suite; of a suite of attacks, also which branch of the model is attacked."""
    definition = suite.suite
    attacked = {"branch": branch_of(model)} if definition.attacks else {}
    return SuiteInfo(
        name=definition.name,
        title=definition.title,
        task=definition.task,
        version=definition.version,
        dataset=suite.dataset,
        num_classes=definition.num_classes,
        source=suite.source,
        normaliser=definition.normaliser,
        subset=definition.subset or definition.superclasses,
        summary=definition.summary,
        cells=tuple(cell.name for cell in definition.cells),
        whole=tuple(suite.whole),
        published=suite.published,
        protocol=_plain(suite.protocol | attacked),
        classes=tuple(suite.classes) if suite.classes is not None and len(suite.classes) <= 200 else None,
    )


def branch_of(model: Model) -> str:
    """Return which normalisation of a dual network predicts: ``main``, ``auxiliary``, ``mean``; ``only`` of others."""
    from robench.models.architectures.norms import DualBatchNorm

    module: Any = model.module
    dual = isinstance(module, torch.nn.Module) and any(isinstance(part, DualBatchNorm) for part in module.modules())
    return str(model.card.get("bn") or model.card.get("branch") or ("main" if dual else "only"))


def _refuse_batches_of_frames(model: Model, suite: OpenSuite) -> None:
    """Refuse a model that takes a batch's statistics on suites whose batches are frames of a few clips, or attacks."""
    definition = suite.suite
    several = definition.task == "perturbation" or any(definition.frame_count(c) > 1 for c in definition.conditions)
    if model.batch_size is not None and (several or definition.attacks):
        raise RobenchError(
            f"{model.name} takes the statistics of its batches, which on {definition.name} would be of few images.",
            hint="Omit ?bn=batch, or choose a suite of single images.",
        )


def environment(options: EvaluationOptions, model: Model) -> Environment:
    """Return the software versions and the hardware of this run."""
    device = options.resolved_device()
    return Environment(
        robench=__version__,
        python=platform.python_version(),
        torch=torch.__version__,
        device=torch.cuda.get_device_name() if device.startswith("cuda") else f"{device} ({platform.machine()})",
        precision=options.precision,
        batch_size=options.resolved_batch_size(device, model),
        started=datetime.now(UTC).isoformat(timespec="seconds"),
    )


def _plain(document: dict[str, Any]) -> dict[str, Any]:
    """Return the document as it will be read back from JSON: tuples become lists."""
    plain: dict[str, Any] = json.loads(json.dumps(document))
    return plain


def command_line() -> str | None:
    """Return the command as it was typed, or None when robench is used as a library."""
    if Path(sys.argv[0]).name not in {"robench", "robench.exe", "__main__.py"}:
        return None
    return shlex.join(["robench", *sys.argv[1:]])


def _scaled_by_options(model: Model, suite: OpenSuite) -> dict[str, Any] | None:
    """Return the options' resize and crop where they, and not the model, change images that have their size.

    The model's own geometry stands in its preprocessing, that of a suite's photographs in the protocol. The record is
    of what was asked for: a clean set may consist of photographs too, which all of it changes.
    """
    chosen = suite.options.geometry
    changes = suite.scaled_to is not None and chosen is not None and chosen != model.preprocessing.geometry
    return chosen.record() if chosen is not None and changes else None


def _numbers(model: Model) -> dict[str, Any]:
    """Return the part of the preprocessing that changes predictions (not where it came from)."""
    record = model.preprocessing.record()
    record.pop("origin", None)
    return record
