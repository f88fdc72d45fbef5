"""The choice of a head's strength or number of neighbours, on held-out images."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch

from robench.models.probes import Neighbours
from robench.training.probe.logistic import Linear, Standardiser, fit

if TYPE_CHECKING:
    from robench.training.probe.features import Features
    from robench.training.probe.options import LinearSettings, NeighbourSettings

_SMALL = 1 << 25
_EXTENSIONS = 3  # decades that the grid may grow by at either end


@dataclass(frozen=True)
class Chosen:
    """A trained head.

    Args:
        kind: ``linear`` or ``neighbours``.
        state: its tensors, as they are saved.
        settings: that loading needs.
        record: the sweep, for the card.
    """

    kind: str
    state: dict[str, torch.Tensor]
    settings: dict[str, Any] = field(default_factory=dict)
    record: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class _Judged:
    """How good one value of the sweep is on held-out images."""

    value: float
    nll: float
    accuracy: float

    def row(self, name: str) -> dict[str, float]:
        return {name: self.value, "nll": round(self.nll, 6), "accuracy": round(self.accuracy, 6)}


def linear(settings: LinearSettings, train: Features, judge: Features, every: Features, device: torch.device) -> Chosen:
    """Fit logistic regressions from the strongest regularisation to the weakest, each from where the last ended."""
    standard = Standardiser.of(train.values)
    kind = _precise(every.values, device)
    x, y = standard(train.values).to(device, kind), train.labels.to(device)
    held, targets = standard(judge.values).to(device, kind), judge.labels.to(device)
    fitted: dict[float, tuple[Linear, _Judged]] = {}
    grid = sorted(set(settings.l2), reverse=True)
    last: Linear | None = None

    def add(l2: float) -> None:
        nonlocal last
        last = fit(x, y, train.num_classes, l2, start=last, max_steps=settings.max_steps)
        fitted[l2] = (last, _judge(l2, torch.log_softmax(last.logits(held), 1), targets))

    for l2 in grid:
        add(l2)
    for _ in range(_EXTENSIONS if len(grid) > 1 else 0):
        best = _best([one for _, one in fitted.values()], settings.select).value
        if best == min(fitted):
            add(best / 10)
        elif best == max(fitted):
            last = None
            add(best * 10)
        else:
            break
    judged = sorted((one for _, one in fitted.values()), key=lambda one: one.value)
    best_of = _best(judged, settings.select)
    model = fitted[best_of.value][0]
    if settings.refit:
        standard = Standardiser.of(every.values)
        whole, labels = standard(every.values).to(device, kind), every.labels.to(device)
        model = fit(whole, labels, every.num_classes, best_of.value, start=model, max_steps=settings.max_steps)
    plain = standard.folded(model)
    record = {
        "l2": best_of.value,
        "held_out_images": len(judge.labels),
        "refitted": settings.refit,
        "converged": model.converged,
        "sweep": [one.row("l2") for one in judged],
    }
    return Chosen("linear", {"weight": plain.weight.float(), "bias": plain.bias.float()}, {}, record)


def neighbours(
    settings: NeighbourSettings, train: Features, judge: Features, every: Features, device: torch.device
) -> Chosen:
    """Choose the number of neighbours."""
    unit = torch.nn.functional.normalize(train.values, dim=1)
    known = sorted({min(k, len(unit)) for k in settings.k})
    head = Neighbours(unit, train.labels, train.num_classes, 1, settings.temperature, settings.floor).to(device)
    judged = []
    for k in known:
        head.k = k
        parts = [head(rows.to(device)) for rows in judge.values.split(1024)]
        judged.append(_judge(k, torch.cat(parts), judge.labels.to(device)))
    best = _best(judged, settings.select)
    record = {
        "k": int(best.value),
        "held_out_images": len(judge.labels),
        "sweep": [one.row("k") for one in judged],
    }
    how = {"k": int(best.value), "temperature": settings.temperature, "floor": settings.floor}
    features = torch.nn.functional.normalize(every.values, dim=1)
    return Chosen("neighbours", {"features": features, "labels": every.labels}, how, record)


def _precise(features: torch.Tensor, device: torch.device) -> torch.dtype:
    """Return the number format of the fit: float64 where that is cheap."""
    return torch.float64 if features.numel() <= _SMALL and device.type != "mps" else torch.float32


@torch.inference_mode()
def _judge(value: float, log_p: torch.Tensor, targets: torch.Tensor) -> _Judged:
    nll = -float(log_p.gather(1, targets[:, None]).double().mean())
    return _Judged(value, nll, float((log_p.argmax(1) == targets).double().mean()))


def _best(judged: list[_Judged], select: str) -> _Judged:
    """Return the best; of equals the strongest regularisation or the most neighbours."""
    if select == "nll":
        return min(judged, key=lambda one: (one.nll, -one.value))
    return max(judged, key=lambda one: (one.accuracy, one.value))
