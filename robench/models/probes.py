"""Heads on frozen backbones: a linear layer, or the nearest neighbours among training features."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import nn

from robench.errors import RobenchError
from robench.files import digest
from robench.models.base import Model
from robench.models.cards import check_card
from robench.models.checkpoints import State, read_weights, weights_hash

KINDS = ("linear", "neighbours")


class Neighbours(nn.Module):
    """Log-probabilities of classes from the nearest training features.

    Each of the ``k`` nearest by cosine votes for its class with the weight exp(cosine / temperature) (Wu et al. 2018,
    as DINO uses it). A share ``floor`` of the probability is spread over all classes, so that none is 0.

    Args:
        features: float32 (N, d), of length 1.
        labels: int64 (N,).
        classes: K.
        k: number of neighbours.
        temperature: of the votes.
        floor: share of the probability that is spread over all classes.
    """

    features: torch.Tensor
    labels: torch.Tensor

    def __init__(
        self, features: torch.Tensor, labels: torch.Tensor, classes: int, k: int, temperature: float, floor: float
    ) -> None:
        super().__init__()
        self.register_buffer("features", features)
        self.register_buffer("labels", labels)
        self.classes, self.k, self.temperature, self.floor = classes, k, temperature, floor

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Return log-probabilities (n, K) of features (n, d)."""
        with torch.autocast(features.device.type, enabled=False):
            unit = nn.functional.normalize(features.float(), dim=-1)
            cosine, nearest = (unit @ self.features.T).topk(self.k, dim=1)
            # Relative to the nearest: exp(1 / 0.01) would overflow in float32.
            weight = ((cosine - cosine[:, :1]) / self.temperature).exp()
            votes = torch.zeros(len(unit), self.classes, device=unit.device)
            votes.scatter_add_(1, self.labels[nearest], weight)
            share = votes / votes.sum(dim=1, keepdim=True)
            return ((1 - self.floor) * share + self.floor / self.classes).log()


class Probe(nn.Module):
    """A head on a backbone: from normalised images (n, 3, H, W) to logits (n, K)."""

    def __init__(self, backbone: nn.Module, head: nn.Module) -> None:
        super().__init__()
        self.backbone, self.head = backbone, head

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return logits in float32 also under autocast: features are rounded, the head is not."""
        features = self.backbone(images)
        with torch.autocast(features.device.type, enabled=False):
            logits: torch.Tensor = self.head(features.float())
        return logits


def build_head(kind: str, state: State, settings: dict[str, Any], classes: int) -> nn.Module:
    """Return a head with its weights.

    Args:
        kind: one of :data:`KINDS`.
        state: ``weight`` (K, d) and ``bias`` (K,); or ``features`` (N, d) and ``labels`` (N,).
        settings: of neighbours: ``k``, ``temperature`` and ``floor``.
        classes: K.

    Raises:
        RobenchError: an unknown kind, or tensors that do not fit it.
    """
    try:
        if kind == "linear":
            head = nn.Linear(state["weight"].shape[1], classes)
            head.load_state_dict({name: state[name].float() for name in ("weight", "bias")})
            return head
        if kind == "neighbours":
            features, labels = nn.functional.normalize(state["features"].float(), dim=-1), state["labels"].long()
            if len(features) != len(labels) or int(labels.min()) < 0 or int(labels.max()) >= classes:
                raise ValueError("labels that are not of these features")
            k = min(int(settings["k"]), len(features))
            return Neighbours(features, labels, classes, k, float(settings["temperature"]), float(settings["floor"]))
    except (KeyError, ValueError, RuntimeError, TypeError, IndexError) as error:
        raise RobenchError(
            f"The weights of this head do not fit its card: {error}", hint="Train it again: robench train."
        ) from error
    raise RobenchError(f"Unknown kind of head '{kind}'.", hint=f"Known: {', '.join(KINDS)}.")


def from_probe_folder(path: Path, document: dict[str, Any]) -> Model:
    """Load the head that a folder holds, on its backbone.

    Raises:
        RobenchError: the backbone cannot be loaded, or is another than the head was trained on.
    """
    from robench.models.backbones import load_backbone

    card = check_card(document, str(path / "card.yaml"))
    about, how = document["backbone"], document.get("head")
    if not isinstance(about, dict) or not isinstance(how, dict) or not isinstance(about.get("spec"), str):
        raise RobenchError(f"{path / 'card.yaml'} does not say which backbone and head.", hint="Train it again.")
    backbone = load_backbone(about["spec"])
    if backbone.hash != about.get("hash"):
        raise RobenchError(
            f"{about['spec']} is another backbone than the head in {path} was trained on.",
            hint="Restore its weights, or train the head again.",
        )
    state = read_weights(path / "weights.safetensors").state
    kind = str(how.get("kind"))
    head = build_head(kind, state, how, card.num_classes)
    found = digest({"backbone": backbone.hash, "head": weights_hash(f"{kind}/{how}", state)})
    return Model(
        card.name,
        Probe(backbone.module, head),
        card.num_classes,
        backbone.preprocessing,
        found,
        {key: value for key, value in document.items() if key not in ("mean", "std", "classes")}
        | {"backbone": about | {"spec": backbone.name}},
        tuple(card.classes) if card.classes is not None else None,
    )
