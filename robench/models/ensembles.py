"""Ensembles: the mean of several models' probabilities, or of their logits."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import torch
from torch import nn

from robench.errors import RobenchError
from robench.models.base import Model, Preprocessing
from robench.models.classes import in_order_of
from robench.models.outputs import log_probabilities, logits_of

HOW = ("mean-prob", "mean-logit")


class _Member(nn.Module):
    """One model with its own normalisation, on images in [0, 1]."""

    mean: torch.Tensor
    std: torch.Tensor

    def __init__(self, model: Model) -> None:
        super().__init__()
        self.function, self.classes, self.title = model.module, model.num_classes, model.name
        self.register_buffer("mean", torch.tensor(model.preprocessing.mean).view(1, 3, 1, 1))
        self.register_buffer("std", torch.tensor(model.preprocessing.std).view(1, 3, 1, 1))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return logits_of(self.function((images - self.mean) / self.std), self.classes)


class Ensemble(nn.Module):
    """The mean of several members' probabilities (as log-probabilities) or logits."""

    def __init__(self, models: Sequence[Model], how: str) -> None:
        super().__init__()
        self.members = nn.ModuleList(_Member(model) for model in models)
        self.how = how

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return logits (n, K) of images in [0, 1]."""
        if self.how == "mean-logit":
            return torch.stack([member(images).float() for member in self.members]).mean(0)
        found = [log_probabilities(member(images), f"{member.title}, of an ensemble,") for member in self.members]
        count = torch.tensor(float(len(found)), device=found[0].device)
        return torch.logsumexp(torch.stack(found), dim=0) - count.log()


def ensemble(models: Sequence[Model], *, how: str = "mean-prob", name: str | None = None) -> Model:
    """Join models of the same classes and image size into one.

    Args:
        models: at least one; where the names of the classes are known, members are brought to the first one's order.
        how: ``mean-prob``: logits are the logarithm of the mean probabilities; ``mean-logit``: the mean logits.
        name: what tables call the ensemble; None: the members' names joined.

    Raises:
        RobenchError: incompatible models, or an unknown ``how``.

    >>> from robench.models.request import wrap
    >>> ensemble([wrap(nn.Sequential(nn.Flatten(), nn.Linear(12, 5)), name=name) for name in "ab"]).name
    'a+b'
    """
    if how not in HOW:
        raise RobenchError(f"An ensemble is one of {', '.join(HOW)}; found '{how}'.", hint=f"Use {HOW[0]}.")
    classes = {model.num_classes for model in models}
    if len(classes) != 1:
        raise RobenchError(
            f"The models have {sorted(classes)} classes; an ensemble needs one number.",
            hint="Use models of the same classes.",
        )
    if adapted := [model.name for model in models if model.batch_size is not None]:
        raise RobenchError(
            f"{adapted[0]} takes the statistics of its batches; an ensemble does not.", hint="Omit ?bn=batch."
        )
    names = models[0].classes
    if names is not None:
        models = [in_order_of(model, names, len(names)) for model in models]
        names = names if all(model.classes is not None for model in models) else None
    geometries = {model.preprocessing.geometry for model in models}
    if len(geometries) != 1:
        raise RobenchError("The models need images of different sizes.", hint="Set one with `resize` and `crop`.")
    sizes = {model.preprocessing.input_size for model in models} - {None}
    if len(sizes) > 1:
        shown = " and ".join(f"{height} x {width}" for height, width in sorted(filter(None, sizes)))
        raise RobenchError(
            f"The models are made for images of {shown} pixels; an ensemble needs one size.",
            hint="Export them for one size.",
        )
    digest = hashlib.sha256("|".join([how, *(m.hash + str(m.preprocessing) for m in models)]).encode()).hexdigest()
    preprocessing = Preprocessing(geometry=geometries.pop(), input_size=next(iter(sizes), None), origin="ensemble")
    title = name or "+".join(model.name for model in models)
    card = {"ensemble": how, "members": [model.record() for model in models]}
    proven = all(model.identity_proven for model in models)
    module = Ensemble(models, how)
    return Model(title, module, classes.pop(), preprocessing, digest, card, names, identity_proven=proven)
