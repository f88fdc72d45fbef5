"""Measuring a network in the middle of its training: what both callbacks share."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from robench.errors import RobenchError

if TYPE_CHECKING:
    from robench.results import Result

_RANKS = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE", "GROUP_RANK")


@dataclass(frozen=True)
class Measurement:
    """What is measured at the end of an epoch.

    Args:
        suite: a suite's name.
        data: its files, or the clean images it is generated from; None: the default folder.
        every: measure after every so many epochs.
        num_classes: K; None: the width of the network's last linear layer.
        mean, std: normalisation per channel of images in [0, 1]; None: the network takes images in [0, 1].
        out: folder of the runs, one for every epoch; beside that of another training it gets a number. None: nothing is
            kept.
        words: keywords of :func:`robench.evaluate`: ``within=0.5``, ``limit=500``, ``corruption="fog"``...
    """

    suite: str
    data: str | Path | None = None
    every: int = 1
    num_classes: int | None = None
    mean: Any = None
    std: Any = None
    out: str | Path | None = None
    words: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        from robench.api.words import both_given, whole
        from robench.models.presets import triple
        from robench.suites import get

        get(self.suite)
        whole("every", self.every, least=1)
        for name, value in (("mean", self.mean), ("std", self.std)):
            triple(name, value)
        if (self.mean is None) != (self.std is None):
            raise RobenchError("`mean` and `std` belong together.", hint="Give both, or neither.")
        both_given([("limit", self.words.get("limit"), "within", self.words.get("within"))])

    def due(self, epoch: int) -> bool:
        """Return whether an epoch, counted from 0, is one to measure after."""
        return (epoch + 1) % self.every == 0

    def measure(self, network: nn.Module, logits: Callable[[torch.Tensor], Any], epoch: int, device: Any) -> Result:
        """Measure a network as it is, and leave it as it was: mode, device, gradients and random numbers.

        Args:
            network: whose weights are measured.
            logits: from normalised images (n, 3, H, W) to logits; runs the network.
            epoch: counted from 0, for the names of folders.
            device: that the network is on.

        Raises:
            RobenchError: as :func:`robench.evaluate`.
        """
        import robench
        from robench.models import Model, Preprocessing
        from robench.models.checkpoints import network_hash
        from robench.models.presets import triple
        from robench.models.request import count_classes

        classes = count_classes(network, self.num_classes, type(network).__name__)
        mean, std = triple("mean", self.mean), triple("std", self.std)
        how = Preprocessing() if mean is None or std is None else Preprocessing(mean, std, origin="option")
        found = network_hash("training", network)
        card = {"architecture": type(network).__name__, "epoch": epoch}
        model = Model(f"{type(network).__name__}-epoch-{epoch}", logits, classes, how, found, card)
        options: dict[str, Any] = {"resamples": 0, "quiet": True, "device": _name(device)} | self.words
        modes = [(part, part.training) for part in network.modules()]  # some may be frozen while others train
        network.eval()
        try:
            with _alone(), torch.no_grad(), torch.random.fork_rng(), tempfile.TemporaryDirectory() as aside:
                folder = Path(aside) if self.out is None else _free(Path(self.out) / f"epoch-{epoch:04}", found)
                result = robench.evaluate(model, self.suite, data=self.data, out=folder, **options)
        finally:
            for part, training in modes:
                part.training = training
        assert result is not None  # this process speaks for itself
        return result

    def values(self, result: Result) -> dict[str, float]:
        """Return the headline values of a result by ``SUITE/NAME``; those that are undefined are left out."""
        from robench.catalogue import headlines

        found = {name: result.summary[name].value for name in headlines(result.summary)}
        return {f"{self.suite}/{name}": value for name, value in found.items() if value is not None}


def _name(device: Any) -> str:
    return str(torch.device(device))


def _free(folder: Path, weights: str) -> Path:
    """Return the folder, or ``FOLDER-2``... where it holds the run of other weights: a training may begin again."""
    from robench.evaluation.probe import free_folder
    from robench.predictions import RunFolder

    return free_folder(folder, lambda there: RunFolder.open(there).record.identity.model == weights)


@contextmanager
def _alone() -> Iterator[None]:
    """Let this process measure by itself, though it is one of several that train."""
    kept = {name: os.environ.pop(name) for name in _RANKS if name in os.environ}
    try:
        yield
    finally:
        os.environ.update(kept)


class Measuring:
    """What every callback takes and keeps.

    Args:
        suite: a suite's name, such as ``cifar10-c``.
        data: its files, or the clean images it is generated from.
        every: measure after every so many epochs.
        num_classes, mean, std, out: see :class:`robench.integrations.measuring.Measurement`.
        words: keywords of :func:`robench.evaluate`; ``within=1.0`` takes a few percent of the forward passes.

    Attributes:
        results: of every epoch measured, in order.
    """

    def __init__(
        self,
        suite: str,
        data: str | Path | None = None,
        *,
        every: int = 1,
        num_classes: int | None = None,
        mean: Any = None,
        std: Any = None,
        out: str | Path | None = None,
        **words: Any,
    ) -> None:
        self.measurement = Measurement(suite, data, every, num_classes, mean, std, out, words)
        self.results: list[Result] = []
