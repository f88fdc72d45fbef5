"""Predicted classes of float images, with a copy of a model optimised for many passes over the same images."""

from __future__ import annotations

import os
import shutil
from dataclasses import asdict
from typing import Any

import torch

from robench.errors import RobenchError, first_line
from robench.evaluation.compiling import Network, compile_network
from robench.evaluation.fourier_options import FourierOptions
from robench.models.base import Model
from robench.models.copying import copied
from robench.models.folding import fold_module
from robench.models.outputs import logits_of
from robench.processes import dtype_of


class Classifier:
    """Predicts classes of float images in [0, 1] with a copy of the model optimised for inference.

    Attributes:
        options: those asked for, with their outcome: ``fold`` is whether any batch norm was folded,
            ``folded_batch_norms`` how many were, ``batch_norms_left`` how many were not.
    """

    def __init__(self, model: Model, options: FourierOptions) -> None:
        dtype = dtype_of(options.precision)
        layout = torch.channels_last if options.channels_last else torch.contiguous_format
        module: Any = model.module
        folded = left = 0
        if isinstance(module, torch.nn.Module):
            module = copied(module).eval()
            left = _batch_norms(module)
            if options.fold:
                module, done = fold_module(module)
                folded, left = done.folded, done.left
            module = module.to(options.device, memory_format=layout)
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
        """Return the classes, int64, shape (n,), of float32 images (n, 3, H, W) in [0, 1].

        Raises:
            RobenchError: the model fails on them, or its logits are of another shape, NaN or infinite.
        """
        return self.logits(x).argmax(dim=1)

    @torch.inference_mode()
    def logits(self, x: torch.Tensor) -> torch.Tensor:
        """Return the logits, float32, shape (n, K), of float32 images (n, 3, H, W) in [0, 1].

        Raises:
            RobenchError: as for the classes.
        """
        count = len(x)
        if count < self._fixed:  # one shape, one compilation
            x = torch.cat([x, x.new_zeros(self._fixed - count, *x.shape[1:])])
        logits = logits_of(self._outputs(x), self._classes)
        if not isinstance(logits, torch.Tensor) or tuple(logits.shape) != (len(x), self._classes):
            found = tuple(logits.shape) if isinstance(logits, torch.Tensor) else type(logits).__name__
            raise RobenchError(
                f"{self._name} must return logits of shape ({len(x)}, {self._classes}) for {len(x)} images; it"
                f" returned {found}.",
                hint="Wrap it so that it returns one row of logits per image (python:FILE:FUNCTION).",
            )
        logits = logits[:count].float()
        if not torch.isfinite(logits).all():
            raise RobenchError(
                f"The logits of {self._name} are NaN or infinite.", hint="Check the weights and the normalisation."
            )
        return logits

    def _outputs(self, x: torch.Tensor) -> Any:
        try:
            return self._network(x)
        except (RobenchError, torch.OutOfMemoryError):
            raise
        except Exception as error:  # networks report in many ways that images do not fit
            raise RobenchError(
                f"{self._name} fails on float32 images of shape {tuple(x.shape)}: {first_line(error)}",
                hint="If the size is wrong, set it with `resize` or `crop`; if memory is short, lower `batch_size`.",
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
        x = x.sub(self.mean).div_(self.std).to(memory_format=self.layout)
        if self.dtype == torch.float32:
            return self.module(x)
        # As in evaluations: layers that compute in float32 find their weights in it, such as a head on features.
        with torch.autocast(x.device.type, dtype=self.dtype):
            return self.module(x)


def _compiled(network: _Network, options: FourierOptions) -> Network:
    """Return the network compiled for one shape.

    Raises:
        RobenchError: compiling for the CPU needs a C++ compiler, and there is none.
    """
    compilers = (os.environ.get("CXX", "g++"), "g++", "clang++")
    if options.device == "cpu" and not any(map(shutil.which, compilers)):
        raise RobenchError("`compile` needs a C++ compiler; found none.", hint="Install g++, or omit `compile`.")
    return compile_network(network, options.device, dynamic=False)


def _batch_norms(module: torch.nn.Module) -> int:
    return sum(isinstance(part, torch.nn.modules.batchnorm._BatchNorm) for part in module.modules())
