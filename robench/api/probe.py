"""``robench.train("linear-probe", backbone=...)``: a head on a frozen backbone."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path

from robench.api.words import place
from robench.errors import RobenchError


def is_probe(recipe: object) -> bool:
    """Return whether a recipe's name is of a head on a frozen backbone."""
    return recipe in ("linear-probe", "knn")


def train_probe(
    recipe: str,
    backbone: str | None,
    *,
    data: Path | None,
    out: Path | None,
    settings: Sequence[str],
    features: Path | None,
    device: str | None,
    fresh: bool,
    quiet: bool,
) -> Path:
    """Train a head and return its folder; see :func:`robench.train`.

    Raises:
        RobenchError: no backbone, unreadable data, or settings that do not fit.
    """
    import torch

    from robench.cpu import keep_to_quota, kept_memory
    from robench.models.backbones import load_backbone
    from robench.processes import launched_by_torchrun, resolve_device
    from robench.training.probe.options import settings_of
    from robench.training.probe.run import Task, train_head

    if backbone is None or not str(backbone).strip():
        raise RobenchError(
            f"{recipe} needs a backbone.", hint="For example `backbone='timm:vit_small_patch14_dinov2.lvd142m'`."
        )
    if launched_by_torchrun():
        raise RobenchError(
            f"{recipe} runs in one process, which uses all cores and one GPU.", hint="Run it without torchrun."
        )
    made = settings_of(recipe, list(settings))
    where = resolve_device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
    keep_to_quota()
    with kept_memory(where):
        loaded = load_backbone(str(place("backbone", backbone)))
        folder = out if out is not None else Path("runs") / f"{recipe}-{_plain(loaded.name)}"
        task = Task(
            recipe,
            loaded,
            "digits" if data is None else str(data),
            made,
            folder,
            features if features is not None else _cache(),
            command_line(recipe, str(backbone), data, settings),
        )
        return train_head(task, device=torch.device(where), fresh=fresh, quiet=quiet)


def _plain(name: str) -> str:
    import re

    return re.sub(r"[^A-Za-z0-9._-]+", "-", name).strip("-.")[:60] or "backbone"


def _cache() -> Path:
    from platformdirs import user_cache_path

    return user_cache_path("robench") / "features"


def command_line(recipe: str, backbone: str, data: Path | None, settings: Sequence[str]) -> str:
    """Return the command that repeats this, for the card; a data folder appears as DATA."""
    words = ["robench", "train", "--recipe", recipe, "--backbone", backbone]
    words += ["--data", "DATA"] if data is not None else []
    for setting in settings:
        words += ["--set", setting]
    return shlex.join(words)
