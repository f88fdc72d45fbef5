"""Text features of classes, computed once and kept by content.

One feature per class: every prompt's feature is brought to length 1, their mean is brought to length 1 again (Radford
et al. 2021, section 3.1.4). They are kept in blocks of classes, so that a computation that was stopped resumes.
"""

from __future__ import annotations

import hashlib
import sys
import time
from contextlib import suppress
from pathlib import Path

import numpy as np
import torch

from robench.errors import RobenchError, first_line
from robench.files import atomic_write, digest
from robench.models.zeroshot.texts import ClassNames, Prompts
from robench.models.zeroshot.towers import Tokens, Towers
from robench.processes import is_quiet, resolve_device

_TEXTS = 256  # at a time through the encoder
_BLOCK = 2048  # texts of the classes that are kept in one file
_QUIET_FOR = 5.0  # seconds before progress is said, and between


def text_features(towers: Towers, prompts: Prompts, names: ClassNames, tokens: str) -> torch.Tensor:
    """Return one feature of length 1 per class: float32 (K, d), on the CPU.

    Args:
        towers: whose text encoder is run where features are missing.
        prompts, names: of the classes.
        tokens: as :func:`tokens_digest` returns it.

    Raises:
        RobenchError: a feature is not finite.
    """
    size = max(1, _BLOCK // len(prompts.templates))
    blocks = [names.names[start : start + size] for start in range(0, len(names.names), size)]
    folder = _folder() / features_key(towers, prompts, names, tokens)[:40]
    found: list[torch.Tensor] = []
    said = time.monotonic()
    device = None
    for number, block in enumerate(blocks):
        path = folder / f"{number:05}.npy"
        kept = _kept(path, len(block))
        if kept is None:
            device = device or resolve_device()
            kept = _features(towers, prompts, block, device)
            _keep(path, kept)
            if not is_quiet() and time.monotonic() - said > _QUIET_FOR:
                said = time.monotonic()
                done = sum(len(one) for one in blocks[: number + 1])
                print(f"text features: {done:,}/{len(names.names):,} classes", file=sys.stderr, flush=True)
        found.append(torch.from_numpy(kept))
    towers.text.to("cpu")
    return torch.cat(found)


def features_key(towers: Towers, prompts: Prompts, names: ClassNames, tokens: str) -> str:
    """Return the SHA-256 of all that text features depend on: weights, tokens, templates and names."""
    return digest(
        {
            "version": 1,
            "weights": towers.weights,
            "tokens": tokens,
            "templates": list(prompts.templates),
            "names": list(names.names),
        }
    )


def tokens_digest(towers: Towers, prompts: Prompts, names: ClassNames) -> str:
    """Return the SHA-256 of what the tokenizer makes of every class name and of every template.

    Of classes times templates only the first of each is combined with all of the other: every word is in these texts.

    Raises:
        RobenchError: most classes are the same to the tokenizer, as with an empty vocabulary.
    """
    texts = [prompts.of(name)[0] for name in names.names] + prompts.of(names.names[0])[1:]
    found, distinct = hashlib.sha256(), set[bytes]()
    for start in range(0, len(texts), _TEXTS):
        tokens = towers.tokenize(texts[start : start + _TEXTS])
        for name in sorted(tokens):
            rows = tokens[name].cpu().contiguous()
            found.update(f"{name}|{rows.dtype}|{tuple(rows.shape)}|".encode())
            found.update(rows.numpy().tobytes())
        distinct.update(row.numpy().tobytes() for row in next(iter(tokens.values())).cpu()[: len(names.names) - start])
    if 2 * len(distinct) < len(set(names.names)):
        raise RobenchError(
            f"The tokenizer of {towers.name} sees {len(distinct)} different texts in {len(names.names)} class names.",
            hint="Its files are missing or of another model (or the names are in a script that it does not know).",
        )
    return found.hexdigest()


@torch.inference_mode()
def _features(towers: Towers, prompts: Prompts, names: tuple[str, ...], device: str) -> np.ndarray:
    """Return the features of some classes: float32 (n, d)."""
    towers.text.to(device)
    texts = [text for name in names for text in prompts.of(name)]
    parts = []
    for start in range(0, len(texts), _TEXTS):
        tokens: Tokens = {key: rows.to(device) for key, rows in towers.tokenize(texts[start : start + _TEXTS]).items()}
        try:
            encoded = towers.encode(tokens)
        except Exception as error:  # tokens that the encoder does not know, among others
            raise RobenchError(
                f"The text encoder of {towers.name} fails on its tokens: {first_line(error)}",
                hint="The tokenizer's files are of another model than the weights; download the snapshot again.",
            ) from error
        parts.append(torch.nn.functional.normalize(encoded.float(), dim=-1))
    every = torch.cat(parts).reshape(len(names), len(prompts.templates), -1)
    mean = torch.nn.functional.normalize(every.mean(dim=1), dim=-1).cpu().numpy()
    if not np.isfinite(mean).all():
        raise RobenchError(
            f"The text encoder of {towers.name} gives features that are not finite.",
            hint="Its weights are damaged or of another model; download them again.",
        )
    return np.ascontiguousarray(mean, np.float32)


def _folder() -> Path:
    from platformdirs import user_cache_path

    return user_cache_path("robench") / "text-features"


def _kept(path: Path, classes: int) -> np.ndarray | None:
    """Return what was kept; None where there is nothing, or it is damaged."""
    try:
        found = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError):
        return None
    whole = found.ndim == 2 and len(found) == classes and found.dtype == np.float32
    return found if whole and np.allclose(np.linalg.norm(found, axis=1), 1, atol=1e-4) else None


def _keep(path: Path, features: np.ndarray) -> None:
    with suppress(RobenchError), atomic_write(path, own=True) as file:  # without a home folder they are computed again
        np.save(file, features)
