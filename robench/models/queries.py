"""The query of a model spec: ``w.pth?key=student``, ``reference:NAME?bn=mean&lambda=0.3``."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from urllib.parse import parse_qsl

from robench.errors import RobenchError

BRANCHES = ("main", "auxiliary", "mean")
VIEWS = ("flip",)
BATCH = 200  # images whose statistics a batch norm takes, as in the papers on CIFAR-10-C
_KNOWN = ("bn", "lambda", "batch", "tta", "key", "outputs")
_EXAMPLE = "For example 'reference:digits/weak-augment?bn=mean&lambda=0.5' (in quotes)."


@dataclass(frozen=True)
class Branch:
    """Which normalisation of a dual network predicts.

    Args:
        bn: one of :data:`BRANCHES`.
        share: lambda, the auxiliary prediction's weight in the mean; 0: main alone, 1: auxiliary alone.
    """

    bn: str
    share: float = 0.5

    @property
    def label(self) -> str:
        """A suffix for the model's name that is safe in file names."""
        return f"bn-{self.bn}" + (f"-{self.share:g}" if self.bn == "mean" and self.share != 0.5 else "")


@dataclass(frozen=True)
class Query:
    """The choices of a spec.

    Args:
        branch: which normalisation of a dual network predicts; None: the main one.
        key: which of several networks of a checkpoint, or outputs of an ONNX network.
        outputs: first and last (exclusive) of the logits to keep; None: all.
        batch: images per batch whose statistics batch norms take (``bn=batch``); None: those of training.
        tta: views that the answer is the mean of: ``flip``, or None.
    """

    branch: Branch | None = None
    key: str | None = None
    outputs: tuple[int, int] | None = None
    batch: int | None = None
    tta: str | None = None


def split(spec: str) -> tuple[str, Query]:
    """Return a model spec without its query, and the query.

    Raises:
        RobenchError: an unknown key or value.

    >>> split("w.pth?key=student")
    ('w.pth', Query(branch=None, key='student', outputs=None, batch=None, tta=None))
    """
    rest, mark, text = spec.rpartition("?")
    if not mark or "=" not in text:
        return spec, Query()
    asked = dict(parse_qsl(text, keep_blank_values=True))
    unknown = [name for name in asked if name not in _KNOWN]
    if unknown or ("key" in asked and not asked["key"]):
        raise RobenchError(
            f"'?{text}' is not a query of a model spec; known are {', '.join(f'{name}=' for name in _KNOWN)}.",
            hint=_EXAMPLE,
        )
    batch, tta = _batch(asked), asked.get("tta")
    if tta is not None and tta not in VIEWS:
        raise RobenchError(f"tta is one of {', '.join(VIEWS)}; found '{tta}'.", hint="For example 'w.pth?tta=flip'")
    branch = None if batch is not None else _branch(asked)
    return rest, Query(branch, asked.get("key"), _outputs(asked.get("outputs")), batch, tta)


def _batch(asked: dict[str, str]) -> int | None:
    if asked.get("bn") != "batch":
        if "batch" in asked:
            raise RobenchError("batch= goes with bn=batch.", hint="For example 'w.pth?bn=batch&batch=64' (in quotes)")
        return None
    text = asked.get("batch", str(BATCH))
    if "lambda" in asked or re.fullmatch(r"\d{1,6}", text, re.ASCII) is None or int(text) < 2:
        raise RobenchError(
            f"bn=batch takes batch=N, at least 2 images, and no lambda; found '{text}'.",
            hint="For example 'w.pth?bn=batch&batch=64' (in quotes)",
        )
    return int(text)


def _branch(asked: dict[str, str]) -> Branch | None:
    if "bn" not in asked and "lambda" not in asked:
        return None
    bn = asked.get("bn", "mean")
    if bn not in BRANCHES or ("lambda" in asked and bn != "mean"):
        raise RobenchError(f"bn is one of {', '.join(BRANCHES)}, batch, and lambda goes with bn=mean.", hint=_EXAMPLE)
    try:
        share = float(asked.get("lambda", "0.5"))
    except ValueError:
        share = math.nan
    if not 0.0 <= share <= 1.0:
        raise RobenchError(f"lambda is a number from 0 to 1; found '{asked['lambda']}'.", hint=_EXAMPLE)
    return Branch(bn, share)


def _outputs(text: str | None) -> tuple[int, int] | None:
    if text is None:
        return None
    found = re.fullmatch(r"(\d{1,9}):(\d{1,9})", text, re.ASCII)
    if found is None or not int(found[1]) < int(found[2]):
        raise RobenchError(
            f"outputs=FIRST:END names logits to keep, counted from 0; found '{text}'.",
            hint="For example ?outputs=1:1001",
        )
    return int(found[1]), int(found[2])
