"""What the library's functions can be told: flat keywords in the command line's words, or frozen options.

``robench.evaluate(model, "cifar10-c", limit=500, device="cpu")`` and
``robench.evaluate(model, "cifar10-c", suite_options=SuiteOptions(limit=500), engine_options=...)`` are the same.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict

if TYPE_CHECKING:
    from robench.evaluation.options import EvaluationOptions as EngineOptions
    from robench.models.base import Model
    from robench.suites import OpenOptions as SuiteOptions

    ModelLike = Model | str | Path | Callable[..., Any]

__all__ = [
    "AmountWords",
    "EngineOptions",
    "EngineWords",
    "EvaluateWords",
    "ModelOptions",
    "ModelWords",
    "ReportOptions",
    "ReportWords",
    "SuiteOptions",
    "SuiteWords",
]

Triple = tuple[float, float, float]
Numbers = float | Sequence[float] | str
Names = str | Sequence[str]
Place = str | Path
SavedArray = Any  # an array, a tensor, or nested sequences
Places = Place | Mapping[str, Place] | Sequence[str]

NORMS = ("bn", "ibn", "dubn", "dubin", "splitbn", "splitbn-shared")
INTERPOLATIONS = ("nearest", "bilinear", "bicubic", "lanczos")
ENSEMBLES = ("mean-prob", "mean-logit")


@dataclass(frozen=True)
class ModelOptions:
    """How a model is loaded.

    Args:
        arch: architecture of a file of weights: a built-in one, a timm or torchvision name, or
            ``python:FILE.py:FUNCTION``.
        num_classes: number of classes that the model puts out; None: the suite's.
        mean, std: normalisation per channel, of images in [0, 1]; None: the model's own.
        norm_preset: a normalisation by name: ``cifar10``, ``cifar100``, ``imagenet``, ``half`` or ``none``.
        norm: batch-norm variant of the architecture: ``bn``, ``ibn``, ``dubn``, ``dubin``, ``splitbn`` or
            ``splitbn-shared``.
        ema: load a checkpoint's averaged (EMA) weights.
        ensemble: how several models are joined: ``mean-prob`` (the default) or ``mean-logit``.
        name: display name in tables and plots.
        prompts: of a zero-shot model: ``imagenet``, ``cifar``, ``simple``, or a file of templates; None: the published
            ones of the data set, else ``simple``.
        class_names: of a zero-shot model: ``imagenet``, ``cifar10``, ``cifar100``, or a file of names by label; None:
            the published ones of the data set, else the data's own class names.
    """

    arch: str | None = None
    num_classes: int | None = None
    mean: Triple | None = None
    std: Triple | None = None
    norm_preset: str | None = None
    norm: str | None = None
    ema: bool = False
    ensemble: str | None = None
    name: str | None = None
    prompts: str | None = None
    class_names: str | None = None


@dataclass(frozen=True)
class ReportOptions:
    """How a result is computed and shown.

    Args:
        resamples: bootstrap resamples of the intervals.
        quiet: show no progress.
    """

    resamples: int = 1000
    quiet: bool = False


class ModelWords(TypedDict, total=False):
    """Keywords for :class:`ModelOptions`; None is the default of each."""

    arch: str | None
    num_classes: int | None
    mean: Numbers | None
    std: Numbers | None
    norm_preset: str | None
    norm: str | None
    ema: bool | None
    ensemble: str | None
    name: str | None
    prompts: str | None
    class_names: str | None


class SizeWords(TypedDict, total=False):
    """Keywords for the size of images; each replaces that part of the model's own geometry."""

    resize: int | None
    crop: int | None
    interpolation: str | None


class SuiteWords(SizeWords, total=False):
    """Keywords for :class:`SuiteOptions`: which images of a suite are measured, and how they are prepared.

    ``corruption`` and ``severity`` choose cells (``"fog,snow"`` or a list); ``limit`` is the number of images per
    cell, drawn the same for every model; ``split``, ``clean``, ``difficulty``, ``images``, ``definition`` and ``frost``
    are for the suites that take them.
    """

    corruption: Names | None
    severity: int | str | Sequence[int] | None
    limit: int | None
    seed: int | None
    split: str | None
    clean: Place | None
    difficulty: int | None
    images: str | None
    definition: Place | None
    frost: Place | None
    skip_corrupt: bool | None
    workers: int | None


class AmountWords(TypedDict, total=False):
    """Keywords for how much is measured: ``within=0.5`` stops when the suite's headline value is known to 0.5 points.

    ``within="mce=0.5,mean_error=0.3"`` (or a mapping) is for other values. The half-width is that of the 95 % interval
    for the full run; 0 measures everything. ``with_run`` is the folder of another model's run of all images: as far as
    the two go together, the sample's values are corrected by how the other model did on the images that were not drawn.
    """

    within: float | str | Mapping[str, float] | None
    with_run: Place | None


class EngineWords(TypedDict, total=False):
    """Keywords for :class:`EngineOptions`: where and how the model runs.

    ``surrogate`` is a model on which a suite of attacks also finds black-box images, to see if gradients are masked.
    """

    device: str | None
    precision: str | None
    batch_size: int | None
    compile: bool | None
    fold: bool | None
    keep_logits: bool | str | None
    surrogate: ModelLike | None


class ReportWords(TypedDict, total=False):
    """Keywords for :class:`ReportOptions`."""

    resamples: int | None
    quiet: bool | None


class EvaluateWords(ModelWords, SuiteWords, AmountWords, EngineWords, ReportWords, total=False):
    """All keywords of :func:`robench.evaluate` and :func:`robench.grid`."""


def __getattr__(name: str) -> Any:
    """Return the options that belong to the packages below, which import NumPy or PyTorch."""
    if name == "SuiteOptions":
        from robench.suites import OpenOptions

        return OpenOptions
    if name == "EngineOptions":
        from robench.evaluation.options import EvaluationOptions

        return EvaluationOptions
    raise AttributeError(f"module 'robench.api.options' has no attribute '{name}'")
