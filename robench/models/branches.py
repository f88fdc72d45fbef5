"""Which normalisation of a dual network predicts: the main one, the auxiliary one, or the mean of both.

Networks trained with split BatchNorm, DuBN or DuBIN predict with the main (clean) one by default. The
mean over both, with a weight lambda, is section 6 of the paper on separate BatchNorms.
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import replace

import torch
from torch import nn

from robench.errors import RobenchError
from robench.models.architectures.norms import DualBatchNorm
from robench.models.base import Model
from robench.models.copying import copied
from robench.models.queries import Branch

_EXAMPLE = "For example 'reference:digits/weak-augment?bn=mean&lambda=0.5' (in quotes)."


class Mean(nn.Module):
    """Weighted mean of two networks' probabilities, as log-probabilities.

    Each branch has its own copy of the shared weights, so that convolutions can be folded with their BatchNorm.
    """

    def __init__(self, main: nn.Module, auxiliary: nn.Module, share: float) -> None:
        super().__init__()
        self.main, self.auxiliary, self.share = main, auxiliary, share

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the logarithm of ``(1 - share) softmax(main) + share softmax(auxiliary)``, float32 (n, K)."""
        main = torch.log_softmax(self.main(x).float(), dim=1) + math.log1p(-self.share)
        return torch.logaddexp(main, torch.log_softmax(self.auxiliary(x).float(), dim=1) + math.log(self.share))


def only(module: nn.Module, route: str) -> nn.Module:
    """Return a copy of the network with plain BatchNorms: those of one route.

    Raises:
        RobenchError: it has no dual normalisation.
    """
    found = copied(module)
    dual = [path for path, part in found.named_modules() if isinstance(part, DualBatchNorm)]
    if not dual:
        raise RobenchError(
            "The model has one normalisation only; bn= chooses between the two of splitbn, dubn and dubin.",
            hint="Omit ?bn=...; for a file of weights of such a network add `norm='splitbn'` (or dubn, dubin).",
        )
    for path in dual:
        parent, _, leaf = path.rpartition(".")
        setattr(found.get_submodule(parent), leaf, getattr(found.get_submodule(path), route))
    return found


def predict_by(model: Model, branch: Branch) -> Model:
    """Return the model that predicts by a branch, with its own name and hash.

    Raises:
        RobenchError: it has no dual normalisation.
    """
    if not isinstance(model.module, nn.Module):
        raise RobenchError(
            f"{model.name} is a plain function; bn= needs a network with two normalisations.", hint=_EXAMPLE
        )
    bn = {0.0: "main", 1.0: "auxiliary"}.get(branch.share, "mean") if branch.bn == "mean" else branch.bn
    if bn == "mean":
        module: nn.Module = Mean(only(model.module, "main"), only(model.module, "auxiliary"), branch.share)
    else:
        module = only(model.module, bn)
    digest = hashlib.sha256(f"{model.hash}?{bn}:{branch.share if bn == 'mean' else ''}".encode()).hexdigest()
    card = model.card | {"bn": bn} | ({"lambda": branch.share} if branch.bn == "mean" else {})
    return replace(model, name=f"{model.name}-{branch.label}", module=module, hash=digest, card=card)
