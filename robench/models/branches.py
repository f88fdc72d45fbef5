"""Which normalisation of a dual network predicts: the main one, the auxiliary one, or the mean of both.

Networks trained with split BatchNorm, DuBN or DuBIN predict with the main (clean) one unless asked otherwise. The
mean over both, with a weight lambda, is section 6 of the paper on separate BatchNorms.
"""

from __future__ import annotations

import copy
import hashlib
import math
from dataclasses import dataclass, replace
from urllib.parse import parse_qsl

import torch
from torch import nn

from robench.errors import RobenchError
from robench.models.architectures.norms import DualBatchNorm
from robench.models.base import Model

BRANCHES = ("main", "auxiliary", "mean")
_EXAMPLE = "For example 'reference:digits/weak-augment?bn=mean&lambda=0.5' (in quotes)."


@dataclass(frozen=True)
class Branch:
    """What a spec asks for after its question mark.

    Args:
        bn: one of :data:`BRANCHES`.
        share: lambda, the auxiliary prediction's weight in the mean; 0: main alone, 1: auxiliary alone.
    """

    bn: str
    share: float = 0.5

    @property
    def label(self) -> str:
        """What stands after the model's name; it can be part of a file's."""
        return f"bn-{self.bn}" + (f"-{self.share:g}" if self.bn == "mean" and self.share != 0.5 else "")


def split(spec: str) -> tuple[str, Branch | None]:
    """Return a model spec without its branch, and the branch (None: none was asked for).

    Raises:
        RobenchError: an unknown key or value.
    """
    rest, mark, query = spec.rpartition("?")
    if not mark or "=" not in query:
        return spec, None
    asked = dict(parse_qsl(query, keep_blank_values=True))
    unknown = set(asked) - {"bn", "lambda"}
    bn = asked.get("bn", "mean")
    if unknown or bn not in BRANCHES or ("lambda" in asked and bn != "mean"):
        raise RobenchError(
            f"'{query}' says nothing that a model knows: bn is {', '.join(BRANCHES)}, lambda goes with bn=mean.",
            hint=_EXAMPLE,
        )
    try:
        share = float(asked.get("lambda", "0.5"))
    except ValueError:
        share = math.nan
    if not 0.0 <= share <= 1.0:
        raise RobenchError(f"lambda is a number from 0 to 1, found '{asked['lambda']}'.", hint=_EXAMPLE)
    return rest, Branch(bn, share)


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
    found = copy.deepcopy(module)
    dual = [path for path, part in found.named_modules() if isinstance(part, DualBatchNorm)]
    if not dual:
        raise RobenchError(
            "The model has one normalisation only; bn= chooses between the two of splitbn, dubn and dubin.",
            hint="Leave ?bn=... away; for a file of weights of such a network add --norm splitbn (or dubn, dubin).",
        )
    for path in dual:
        parent, _, leaf = path.rpartition(".")
        setattr(found.get_submodule(parent), leaf, getattr(found.get_submodule(path), route))
    return found


def predict_by(model: Model, branch: Branch) -> Model:
    """Return the model that predicts by a branch, under a name and a hash of its own.

    Raises:
        RobenchError: it has no dual normalisation.
    """
    if not isinstance(model.module, nn.Module):
        raise RobenchError(f"{model.name} is a plain function; bn= needs a network of ours.", hint=_EXAMPLE)
    bn = {0.0: "main", 1.0: "auxiliary"}.get(branch.share, "mean") if branch.bn == "mean" else branch.bn
    if bn == "mean":
        module: nn.Module = Mean(only(model.module, "main"), only(model.module, "auxiliary"), branch.share)
    else:
        module = only(model.module, bn)
    digest = hashlib.sha256(f"{model.hash}?{bn}:{branch.share if bn == 'mean' else ''}".encode()).hexdigest()
    card = model.card | {"bn": bn} | ({"lambda": branch.share} if bn == "mean" else {})
    return replace(model, name=f"{model.name}-{branch.label}", module=module, hash=digest, card=card)
