"""What the processes of ``torchrun`` must agree on before they share a run."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from typing import TYPE_CHECKING

from robench.errors import RobenchError

if TYPE_CHECKING:
    from pathlib import Path

    from robench.models.base import Model
    from robench.processes import World


def together(device: str) -> AbstractContextManager[World | None]:
    """Join the other processes of ``torchrun``; None where this process is alone."""
    from robench.processes import joined, launched_by_torchrun

    return joined(device) if launched_by_torchrun() else nullcontext()


def of_first(folder: Path, world: World | None) -> Path:
    """Return the folder that the first process has chosen."""
    if world is None:
        return folder
    from torch import distributed

    chosen = [folder]
    distributed.broadcast_object_list(chosen, src=0)
    return chosen[0]


def agreed(model: Model, world: World | None) -> Model:
    """Return the model with the first process's identity, where its own cannot be proven.

    A function that reads its rank from the environment has another identity in every process.

    Raises:
        RobenchError: the processes have loaded different models.
    """
    if world is None:
        return model
    from torch import distributed

    found: list[tuple[str, bool]] = [("", False)] * world.size
    distributed.all_gather_object(found, (model.hash, model.identity_proven))
    hashes = {one for one, _ in found}
    if len(hashes) > 1 and all(proven for _, proven in found):
        raise RobenchError(
            f"The processes have loaded different models as '{model.name}'.",
            hint="Give all of them the same files, and set the seed where weights are drawn at random.",
        )
    return replace(model, hash=found[0][0])
