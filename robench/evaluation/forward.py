"""The forward pass: a model's module on a device, from uint8 images to logits."""

from __future__ import annotations

import contextlib
import traceback
from typing import Any

import torch

from robench.errors import RobenchError, first_line
from robench.evaluation.compiling import compile_network
from robench.evaluation.options import EvaluationOptions
from robench.evaluation.pixels import Normaliser
from robench.models.base import Model
from robench.models.outputs import logits_of
from robench.processes import dtype_of


class Forward:
    """Runs a model's module on uint8 batches.

    Args:
        model: the model; its module is moved to the device.
        options: device, precision, compile.

    Attributes:
        device: name of the device that it runs on.
        precision: number format that the module runs in.
    """

    def __init__(self, model: Model, options: EvaluationOptions) -> None:
        self.device = options.resolved_device()
        self.model, self.precision = model, options.precision
        self._autocast = None if options.precision == "fp32" else dtype_of(options.precision)
        module: Any = model.module
        self._channels_last = isinstance(module, torch.nn.Module)
        if isinstance(module, torch.nn.Module):
            _refuse_without_weights(module, model.name)
            # Convolutions are faster in this layout, on CPUs by about a third.
            module = module.eval().to(self.device).to(memory_format=torch.channels_last)
        self._module: Any = module
        self._compiled: Any = compile_network(module, self.device) if options.compile else None
        mean = torch.tensor(model.preprocessing.mean, device=self.device)
        std = torch.tensor(model.preprocessing.std, device=self.device)
        # (x / 255 - mean) / std as one multiplication and one addition.
        self._scale = (1.0 / (255.0 * std)).reshape(1, 3, 1, 1)
        self._shift = (-mean / std).reshape(1, 3, 1, 1)
        self._buffer: torch.Tensor | None = None
        self._normaliser = Normaliser(self._scale.flatten(), self._shift.flatten())
        self._identity = not bool(mean.any()) and bool((std == 1).all())

    @torch.inference_mode()
    def __call__(self, images: torch.Tensor, *, compiled: bool = True) -> torch.Tensor:
        """Return the module's outputs for a batch.

        Args:
            images: uint8, shape (n, 3, H, W), on any device.
            compiled: run the compiled module where there is one; without, no program is made for another shape.

        Returns:
            Logits of shape (n, K), in the module's number format; memory of their own.

        Raises:
            RobenchError: the module fails on these images, or needs another size.
            torch.OutOfMemoryError: the device's memory does not hold the batch.
        """
        self._check_size(images)
        x = self._normalise(images)
        with self._cast():
            logits = self._run(x, compiled=compiled and self._compiled is not None)
        # A view of the input, or memory that the model writes to again (a buffer, a captured graph's output), would
        # hold the next batch's values by the time it is read.
        return logits.clone() if isinstance(logits, torch.Tensor) else logits

    def of_pixels(self, pixels: torch.Tensor) -> torch.Tensor:
        """Return the module's logits of float images, with gradients where PyTorch is told to keep them.

        Args:
            pixels: float32 in [0, 1], shape (n, 3, H, W), on the device.

        Raises:
            RobenchError, torch.OutOfMemoryError: as calls.
        """
        self._check_size(pixels)
        # The input of calls is written to in place, so that gradients cannot go through it.
        x = pixels * (255.0 * self._scale) + self._shift
        if self._channels_last:
            x = x.contiguous(memory_format=torch.channels_last)
        with self._cast():
            return self._run(x, compiled=False)

    def _cast(self) -> Any:
        if self._autocast is None:
            return contextlib.nullcontext()
        return torch.autocast(torch.device(self.device).type, dtype=self._autocast)

    def _run(self, x: torch.Tensor, *, compiled: bool) -> torch.Tensor:
        try:
            return logits_of(self._compiled(x) if compiled else self._module(x), self.model.num_classes)
        except (RobenchError, torch.OutOfMemoryError):
            raise
        except Exception as error:  # networks report in many ways that images do not fit
            if "DefaultCPUAllocator" in str(error):
                raise torch.OutOfMemoryError(str(error)) from error
            raise self._failure(error, x, compiled=compiled) from error

    def _failure(self, error: Exception, x: torch.Tensor, *, compiled: bool) -> RobenchError:
        if compiled and isinstance(error, torch._dynamo.exc.TorchDynamoException):
            return RobenchError(
                f"Could not compile {self.model.name}: {first_line(error)}",
                hint="Omit `compile`; on a CPU it needs a C++ compiler.",
            )
        frame = traceback.extract_tb(error.__traceback__)[-1]
        return RobenchError(
            f"{self.model.name} fails on float32 images of shape {tuple(x.shape)}: {first_line(error)}"
            f" ({frame.filename}:{frame.lineno})",
            hint=f"Finished cells are kept. {_advice(str(error))}",
        )

    def _normalise(self, images: torch.Tensor) -> torch.Tensor:
        x = self._input_buffer(images.shape)
        if self._channels_last and not self._identity:
            self._normaliser(images, x)
            return x
        x.copy_(images, non_blocking=True)
        if self._identity:
            return x.mul_(1.0 / 255.0)
        return torch.addcmul(self._shift, x, self._scale, out=x)

    def _input_buffer(self, shape: torch.Size) -> torch.Tensor:
        """Return the module's input: the same memory for every batch of a shape, as fresh pages are expensive.

        A module that keeps its input and uses it later, in threads or streams of its own, is not supported.
        """
        if self._buffer is None or self._buffer.shape != shape:
            layout = torch.channels_last if self._channels_last else torch.contiguous_format
            self._buffer = torch.empty(shape, device=self.device, memory_format=layout)
        return self._buffer

    def _check_size(self, images: torch.Tensor) -> None:
        needed = self.model.preprocessing.input_size
        found = (int(images.shape[2]), int(images.shape[3]))
        if needed is not None and tuple(needed) != found:
            raise RobenchError(
                f"The model needs images of {needed[0]} x {needed[1]} pixels; the suite gives {found[0]} x {found[1]}.",
                hint="Set the size with `resize` or `crop`, or choose a suite of the model's size.",
            )


def _refuse_without_weights(module: torch.nn.Module, name: str) -> None:
    """Refuse a module whose weights have names and no numbers.

    Raises:
        RobenchError: some lie on the meta device, or wait for a first batch to learn their shape.
    """
    for title, tensor in [*module.named_parameters(), *module.named_buffers()]:
        if torch.nn.parameter.is_lazy(tensor):
            raise RobenchError(
                f"{name} has weights without a shape ({title}): a lazy module that has seen no images.",
                hint="Run it once on a batch, load its weights, and give it then.",
            )
        if tensor.is_meta:
            raise RobenchError(
                f"{name} has weights on the meta device, which holds no numbers ({title}).",
                hint="Build it on the CPU, and load its weights before it is measured.",
            )


_OF_TYPES = ("should be the same", "have the same dtype", "expected scalar type")
_OF_GRADIENTS = ("require grad", "requires grad", "grad_fn", "inference tensor", "inference mode")
_OF_SIZE = ("shape", "size", "dimension", "must match", "expected input", "too small", "channels")


def _advice(problem: str) -> str:
    """Return the next step after an error of the model, by its cause."""
    said = problem.lower()
    if any(word in said for word in _OF_GRADIENTS):
        return (
            "Gradients are off while robench measures; a function that needs them computes within"
            " torch.inference_mode(False), on a clone of its images."
        )
    if any(word in said for word in _OF_TYPES):
        return (
            "Its weights are of another type than the images, which are float32: call .float() on it; `precision` says"
            " in which it is run."
        )
    if any(word in said for word in _OF_SIZE):
        return "If the size is wrong, set it with `resize` or `crop`."
    return "A custom function gets normalised float32 images of shape (n, 3, H, W), and returns logits (n, K)."
