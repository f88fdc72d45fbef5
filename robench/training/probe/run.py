"""Training a head: features, a sweep judged on held-out images, and the folder that is evaluated like any model."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from robench.errors import RobenchError
from robench.files import atomic_write, digest
from robench.models.probes import build_head
from robench.training.engine.source import counted_in, held_out
from robench.training.probe.features import Features, features_of, open_split
from robench.training.probe.options import LinearSettings, Settings
from robench.training.probe.sweep import Chosen, linear, neighbours

if TYPE_CHECKING:
    from robench.models.backbones import Backbone
    from robench.suites import OpenSuite


@dataclass(frozen=True)
class Task:
    """What is trained.

    Args:
        recipe: ``linear-probe`` or ``knn``.
        backbone: the frozen encoder.
        data: a path, or ``digits``.
        settings: of the recipe.
        out: the head's folder.
        place: folder under which features are kept.
        command: that repeats this, for the card.
    """

    recipe: str
    backbone: Backbone
    data: str
    settings: Settings
    out: Path
    place: Path
    command: str


def train_head(task: Task, *, device: torch.device, fresh: bool = False, quiet: bool = False) -> Path:
    """Train a head and write weights and card; a finished head of the same task is not trained again.

    Raises:
        RobenchError: unreadable data, too few images, or a folder that holds something else.
    """
    began = time.monotonic()
    opened = open_split(task.data, "train", task.backbone, task.settings.limit)
    identity = digest(
        {
            "recipe": task.recipe,
            "settings": task.settings.model_dump(exclude={"batch_size"}),
            "backbone": task.backbone.hash,
            "images": str(opened.protocol),
        }
    )
    if not fresh and _finished(task.out, identity):
        return task.out

    def features(one: OpenSuite) -> Features:
        return features_of(one, task.backbone, task.settings, task.place, device, quiet=quiet)

    train = features(opened)
    test = _split(task, "test", {train.checksum})
    known = _split(task, "validation", {train.checksum} | ({_checksum(test)} if test is not None else set()))
    validation, tested = (None if one is None else _like(train, features(one)) for one in (known, test))
    fit, judge = _parts(train, validation, task.settings.held_out)
    chosen = _chosen(task.settings, fit, judge, train, device)
    accuracy = None if tested is None else _accuracy(chosen, tested, device)
    seconds = time.monotonic() - began
    _write(task, chosen, train, identity, {"test_accuracy": accuracy, "seconds": round(seconds, 2)})
    return task.out


def _finished(out: Path, identity: str) -> bool:
    """Return whether a folder holds this head.

    Raises:
        RobenchError: it holds another model.
    """
    if not (out / "card.yaml").is_file():
        return False
    from robench.models.cards import read_card

    if read_card(out).get("recipe_digest") != identity:
        raise RobenchError(
            f"{out} holds a finished run with other settings.",
            hint="Give another `out`, or `fresh=True` to start again there.",
        )
    return True


def _split(task: Task, split: str, others: set[str]) -> OpenSuite | None:
    """Return another split of the data; None where it has none, or the same images stand for several."""
    try:
        found = open_split(task.data, split, task.backbone)
    except RobenchError:
        return None
    return None if _checksum(found) in others else found


def _checksum(opened: OpenSuite) -> str:
    return str(opened.protocol["checksum"])


def _parts(train: Features, validation: Features | None, share: float) -> tuple[Features, Features]:
    """Return what is fitted on, and what the sweep is judged on.

    Raises:
        RobenchError: labels beyond the classes, one class, or too few images.
    """
    labels = train.labels.unique()
    if len(labels) < 2:
        raise RobenchError("The training images are of one class.", hint="Give images of two classes or more.")
    if validation is not None and validation.classes == train.classes:
        return train, validation
    count = len(train.labels)
    rest, kept = held_out(count, max(1, round(share * count)))
    return _take(train, rest), _take(train, kept)


def _like(train: Features, other: Features) -> Features:
    """Return another split's features with its labels counted in the classes of the training images.

    Raises:
        RobenchError: it has a class that the training images lack.
    """
    if other.classes is None or train.classes is None or not set(other.classes) & set(train.classes):
        return other
    labels = torch.from_numpy(counted_in(other.labels.numpy(), other.classes, train.classes))
    if int(labels.max()) >= train.num_classes:
        raise RobenchError(
            f"The training images have no class {other.classes[int(labels.max())]}, which other images have.",
            hint="The splits of a data set need the same class names.",
        )
    return replace(other, labels=labels, classes=train.classes, num_classes=train.num_classes)


def _take(features: Features, index: torch.Tensor) -> Features:
    return Features(
        features.values[index], features.labels[index], features.classes, features.num_classes, features.checksum
    )


def _chosen(settings: Settings, fit: Features, judge: Features, every: Features, device: torch.device) -> Chosen:
    if isinstance(settings, LinearSettings):
        return linear(settings, fit, judge, every, device)
    return neighbours(settings, fit, judge, every, device)


@torch.inference_mode()
def _accuracy(chosen: Chosen, test: Features, device: torch.device) -> float:
    head = build_head(chosen.kind, chosen.state, chosen.settings, test.num_classes).to(device)
    correct = 0
    for rows, labels in zip(test.values.split(4096), test.labels.split(4096), strict=True):
        correct += int((head(rows.to(device)).argmax(1).cpu() == labels).sum())
    return round(correct / len(test.labels), 6)


def _write(task: Task, chosen: Chosen, train: Features, identity: str, measured: dict[str, Any]) -> None:
    """Write weights, then the card: a card marks a finished head."""
    import yaml
    from safetensors.torch import save

    how = task.backbone.preprocessing
    card = {
        "name": f"{task.backbone.name}+{task.recipe}",
        "architecture": f"{task.recipe} on {task.backbone.name}",
        "num_classes": train.num_classes,
        "dataset": Path(task.data).name,
        "mean": list(how.mean),
        "std": list(how.std),
        "backbone": task.backbone.record(),
        "head": {"kind": chosen.kind} | chosen.settings,
        "recipe": task.recipe,
        "recipe_digest": identity,
        "command": task.command,
        "trained_with": {"images": len(train.labels), "checksum": train.checksum} | chosen.record | measured,
    }
    if train.classes is not None:
        card["classes"] = list(train.classes)
    with atomic_write(task.out / "weights.safetensors", own=True) as file:
        file.write(save({name: one.contiguous() for name, one in chosen.state.items()}))
    with atomic_write(task.out / "card.yaml", own=True) as file:
        file.write(yaml.safe_dump(card, sort_keys=False, allow_unicode=True, width=100).encode())
