"""Fourier sensitivity: the error under every basis vector U_ij of the 2-d Fourier basis.

A cell of the map is the error on clip(x + r v U_ij, 0, 1), images x in [0, 1], v the norm per channel, r = +-1 drawn
for every image and channel. A frequency and its mirror have the same U_ij, so only one of the two is run.

Source: Yin et al. 2019, section 3; the random signs of google-research's ``freq_heatmap.py`` forget v, here v
always counts.
"""

from __future__ import annotations

import copy
import json
import math
import os
import shutil
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from robench.errors import RobenchError, first_line
from robench.evaluation.compiling import Network, compile_network
from robench.evaluation.fourier_basis import Frequency, basis_vector, centred_range, frequencies, mirror
from robench.evaluation.progress import Progress, QuietProgress
from robench.files import digest, write_json
from robench.models.base import Model
from robench.models.folding import fold_module
from robench.models.outputs import logits_of
from robench.processes import Precision, dtype_of, keep_to_quota, kept_memory

_SAVE_EVERY = 10.0


@dataclass(frozen=True)
class FourierOptions:
    """How a map is made.

    Args:
        norm: v, the L2 norm of the perturbation of each channel, images in [0, 1] (Yin et al.: 4 on CIFAR-10).
        window: side of the centred square of lowest frequencies that is measured; None: all of them.
        signs: draw r at random (else always +1).
        seed: of the signs.
        device: a torch device name.
        precision: number format of module and input; figures move a little, so it is recorded.
        channels_last: memory layout of the input.
        fold: fold batch norms into the convolutions before them.
        compile: run the module through ``torch.compile``, on a processor with its weights frozen into the program.
        batch_size: images at a time; None: 50 on a processor (100 in bf16, fp16), whose caches then hold a layer of a
            small network (twice as fast as 250 with a ResNet-20 at 32 x 32); else 500. Figures do not depend on it.
    """

    norm: float = 4.0
    window: int | None = None
    signs: bool = True
    seed: int = 0
    device: str = "cpu"
    precision: Precision = "fp32"
    channels_last: bool = True
    fold: bool = True
    compile: bool = False
    batch_size: int | None = None

    @property
    def images_at_a_time(self) -> int:
        """The batch size in use."""
        return self.batch_size or (500 if self.device != "cpu" else 50 if self.precision == "fp32" else 100)


def fourier_map(
    model: Model,
    images: torch.Tensor,
    target: npt.NDArray[np.int64],
    options: FourierOptions,
    *,
    state: Path | None = None,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Measure the error under every basis vector and return the document that plots read.

    Args:
        model: the model.
        images: uint8 (n, 3, H, W).
        target: (n,) labels.
        options: norm, signs, precision.
        state: file that finished frequencies are kept in; there already: they are not run again.
        progress: told how far it is.

    Returns:
        ``kind`` robench-fourier, ``model``, ``size`` (rows of the map), ``norm``, ``error`` (rows of fractions, low
        frequencies in the centre), ``clean_error``, ``images``, ``options`` as they were carried out
        (:attr:`Classifier.options`).

    Raises:
        RobenchError: no images, a norm that is not positive, or a state of something else.
    """
    check_images(images, target, options)
    size = (int(images.shape[2]), int(images.shape[3]))
    classify = Classifier(model, options)
    labels = torch.as_tensor(target).to(options.device)
    shown = images.to(options.device)
    identity = digest({"model": model.hash, "options": _identity(options), "data": _data_digest(images, target)})
    done = _read_state(state, identity)
    wanted = list(frequencies(size, options.window))
    progress, saved = progress or QuietProgress(), time.monotonic()
    keep_to_quota()
    with progress, kept_memory(options.device):
        progress.start(len(wanted) * len(images), sum(_key(f) in done for f in wanted) * len(images))
        try:
            for frequency in wanted:
                if _key(frequency) in done:
                    continue
                done[_key(frequency)] = error_under(
                    classify, shown, labels, options, perturbation_of(frequency, size, options, len(images))
                )
                progress.advance(len(images), f"frequency {_key(frequency)}")
                if time.monotonic() - saved > _SAVE_EVERY:
                    _write_state(state, identity, done)
                    saved = time.monotonic()
        finally:
            _write_state(state, identity, done)
    clean = error_under(classify, shown, labels, options, None)
    error = _whole_map(done, size, options.window)
    return {
        "kind": "robench-fourier",
        "model": model.name,
        "size": len(error),
        "norm": options.norm,
        "error": error.tolist(),
        "clean_error": clean,
        "images": len(images),
        "options": classify.options,
    }


class Classifier:
    """Predicted classes of float images in [0, 1], by a copy of the model made fast for inference.

    Attributes:
        options: what was asked for, with what came of it: ``fold`` is whether any batch norm was folded,
            ``folded_batch_norms`` how many, ``batch_norms_left`` how many were not.
    """

    def __init__(self, model: Model, options: FourierOptions) -> None:
        dtype = dtype_of(options.precision)
        layout = torch.channels_last if options.channels_last else torch.contiguous_format
        module: Any = model.module
        folded = left = 0
        if isinstance(module, torch.nn.Module):
            module = copy.deepcopy(module).eval()
            left = _batch_norms(module)
            if options.fold:
                module, done = fold_module(module)
                folded, left = done.folded, done.left
            module = module.to(options.device, dtype, memory_format=layout)
        mean, std = (
            torch.tensor(v, device=options.device).reshape(1, 3, 1, 1)
            for v in (model.preprocessing.mean, model.preprocessing.std)
        )
        network = _Network(module, mean, std, dtype, layout)
        self._name, self._classes = model.name, model.num_classes
        self._network: Network = _compiled(network, options) if options.compile else network
        self._fixed = options.images_at_a_time if options.compile else 0
        self.options: dict[str, Any] = asdict(options) | {
            "batch_size": options.images_at_a_time,
            "fold": folded > 0,
            "folded_batch_norms": folded,
            "batch_norms_left": left,
        }

    @torch.inference_mode()
    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        """Return the classes, (n,), of float32 images (n, 3, H, W).

        Raises:
            RobenchError: the model fails on them, or its logits are of another shape, NaN or infinite.
        """
        count = len(x)
        if count < self._fixed:  # one shape, one compilation
            x = torch.cat([x, x.new_zeros(self._fixed - count, *x.shape[1:])])
        logits = logits_of(self._logits(x), self._classes)
        if not isinstance(logits, torch.Tensor) or tuple(logits.shape) != (len(x), self._classes):
            found = tuple(logits.shape) if isinstance(logits, torch.Tensor) else type(logits).__name__
            raise RobenchError(
                f"{self._name} must return logits of shape ({len(x)}, {self._classes}) for {len(x)} images; it"
                f" returned {found}.",
                hint="Wrap it so that it returns one row of logits an image (python:FILE:FUNCTION).",
            )
        logits = logits[:count].float()
        if not torch.isfinite(logits).all():
            raise RobenchError(
                f"The logits of {self._name} are NaN or infinite.", hint="Check the weights and the normalisation."
            )
        return logits.argmax(dim=1)

    def _logits(self, x: torch.Tensor) -> Any:
        try:
            return self._network(x)
        except (RobenchError, torch.OutOfMemoryError):
            raise
        except Exception as error:  # a network says in many ways that images do not fit it
            raise RobenchError(
                f"{self._name} fails on float32 images of shape {tuple(x.shape)}: {first_line(error)}",
                hint="Where the size is wrong, set it with --resize/--crop; where memory, take a smaller --batch-size.",
            ) from error


class _Network(torch.nn.Module):
    """Normalises float32 images and runs the model's module on them, in one program where that is compiled."""

    mean: torch.Tensor
    std: torch.Tensor

    def __init__(
        self, module: Any, mean: torch.Tensor, std: torch.Tensor, dtype: torch.dtype, layout: torch.memory_format
    ) -> None:
        super().__init__()
        self.module, self.dtype, self.layout = module, dtype, layout
        self.register_buffer("mean", mean)
        self.register_buffer("std", std)

    def forward(self, x: torch.Tensor) -> Any:
        return self.module(x.sub(self.mean).div_(self.std).to(self.dtype, memory_format=self.layout))


def _compiled(network: _Network, options: FourierOptions) -> Network:
    """Return the network compiled for one shape.

    Raises:
        RobenchError: it would be compiled for a processor, and there is no C++ compiler.
    """
    compilers = (os.environ.get("CXX", "g++"), "g++", "clang++")
    if options.device == "cpu" and not any(map(shutil.which, compilers)):
        raise RobenchError("--compile needs a C++ compiler; found none.", hint="Install g++, or leave --compile away.")
    return compile_network(network, options.device, dynamic=False)


def _batch_norms(module: torch.nn.Module) -> int:
    return sum(isinstance(part, torch.nn.modules.batchnorm._BatchNorm) for part in module.modules())


def perturbation_of(
    frequency: Frequency, size: Frequency, options: FourierOptions, count: int
) -> Callable[[int, int], torch.Tensor]:
    """Return a function from image numbers start..stop to their perturbations (n, 3, H, W)."""
    wave = torch.from_numpy(options.norm * basis_vector(frequency, size)).float().to(options.device)

    rng = np.random.Generator(np.random.Philox(key=[options.seed, frequency[0] * size[1] + frequency[1]]))
    drawn = 2.0 * rng.integers(0, 2, (count, 3)) - 1.0 if options.signs else np.ones((count, 3))
    signs = torch.from_numpy(drawn).float().to(options.device)[:, :, None, None]

    def of(start: int, stop: int) -> torch.Tensor:
        return signs[start:stop] * wave

    return of


def error_under(
    classify: Classifier,
    images: torch.Tensor,
    labels: torch.Tensor,
    options: FourierOptions,
    perturbation: Callable[[int, int], torch.Tensor] | None,
) -> float:
    """Return the error, a fraction, on images with a perturbation as of :func:`perturbation_of`, or without one."""
    wrong = 0
    step = options.images_at_a_time
    for start in range(0, len(images), step):
        x = images[start : start + step].float() / 255.0
        if perturbation is not None:
            x = x.add(perturbation(start, start + len(x))).clamp_(0, 1)
        wrong += int((classify(x) != labels[start : start + len(x)]).sum())
    return wrong / len(images)


def _whole_map(done: dict[str, float], size: Frequency, window: int | None) -> npt.NDArray[np.float64]:
    rows, columns = centred_range(size[0], window), centred_range(size[1], window)
    out = np.empty((len(rows), len(columns)))
    for a, i in enumerate(rows):
        for b, j in enumerate(columns):
            own = _key((i, j))
            out[a, b] = done[own if own in done else _key(mirror((i, j), size))]
    return out


def _key(frequency: Frequency) -> str:
    return f"{frequency[0]},{frequency[1]}"


def _identity(options: FourierOptions) -> dict[str, Any]:
    """Return the options that change figures."""
    names = ("norm", "signs", "seed", "precision", "fold", "channels_last", "compile")
    return {name: getattr(options, name) for name in names}


def _data_digest(images: torch.Tensor, target: npt.NDArray[np.int64]) -> str:
    import hashlib

    return hashlib.sha256(images.cpu().contiguous().numpy().tobytes() + np.asarray(target).tobytes()).hexdigest()


def check_images(images: torch.Tensor, target: npt.NDArray[np.int64], options: FourierOptions) -> None:
    """Refuse what no figure can be made from.

    Raises:
        RobenchError: no images, not as many labels, or a norm that is not positive.
    """
    if len(images) == 0 or len(images) != len(target):
        raise RobenchError(
            f"Fourier figures need images with labels; found {len(images)} images and {len(target)} labels.",
            hint="Check the data folder and --limit.",
        )
    if not 0 < options.norm < math.inf:
        raise RobenchError(
            f"The norm must be above 0 and finite; found {options.norm}.", hint="The usual one on CIFAR-10 is 4."
        )
    if not 0 <= options.seed < 2**63:
        raise RobenchError(f"The seed must lie in 0 to 2^63 - 1; found {options.seed}.", hint="Take 0, 1, 2...")


def _read_state(path: Path | None, identity: str) -> dict[str, float]:
    if path is None or not path.exists():
        return {}
    try:
        document = json.loads(path.read_text())
        there, done = document["identity"], dict(document["done"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise RobenchError(f"{path} cannot be read: {error}.", hint="Remove it, or choose another --out.") from error
    if there != identity:
        raise RobenchError(
            f"{path} belongs to another model, data set or set of options.", hint="Choose another --out, or remove it."
        )
    return done


def _write_state(path: Path | None, identity: str, done: dict[str, float]) -> None:
    if path is not None and done:  # a file of nothing would only stand in the way of another map
        write_json(path, {"kind": "robench-fourier-state", "identity": identity, "done": done})
