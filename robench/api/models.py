"""From what a user calls a model to a :class:`robench.models.Model`; options that it would not heed are refused."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING

from robench.api.options import ModelOptions
from robench.errors import RobenchError

if TYPE_CHECKING:
    from robench.api.options import ModelLike
    from robench.api.packing import Sizes
    from robench.models.base import Model
    from robench.models.presets import Triple
    from robench.suites import OpenSuite

_OF_WEIGHTS = ("arch", "norm", "ema")
_OF_ZERO_SHOT = ("prompts", "class_names")


@dataclass(frozen=True)
class DataClasses:
    """What a model is told of the data's classes.

    Args:
        count: how many there are; None: not known.
        names: by label; None: not known. Zero-shot models are made of them.
        dataset: the data set's name.
    """

    count: int | None = None
    names: tuple[str, ...] | None = None
    dataset: str | None = None


def as_model(given: ModelLike | Sequence[ModelLike], options: ModelOptions, data: DataClasses) -> Model:
    """Return one model, or the ensemble of several.

    Args:
        given: a loaded model, a spec (path, ``timm:NAME``...), an ``nn.Module`` or another callable from normalised
            float32 images (n, 3, H, W) to logits (n, K), or a sequence of these.
        options: how it is loaded.
        data: number of classes where neither the model nor the options say it, and their names.

    Raises:
        RobenchError: it cannot be loaded, or would not heed an option.
    """
    from robench.models import ensemble
    from robench.models.base import Model

    if isinstance(given, (str, Path, Model)) or callable(given):
        parts: list[ModelLike] = [given]
    else:
        parts = list(given)
    if not parts:
        raise RobenchError("No model given.", hint="Set `model`, for example `model='reference:digits/augmix'`.")
    if options.ensemble is not None and len(parts) == 1:
        raise RobenchError(
            "`ensemble` has no effect on a single model.", hint="Give several models, or omit `ensemble`."
        )
    loaded = [_load(part, options, data) for part in parts]
    if len(loaded) == 1:
        return _named(loaded[0], options.name)
    return _named(ensemble(loaded, how=options.ensemble or "mean-prob"), options.name)


def model_for(
    given: ModelLike | Sequence[ModelLike], options: ModelOptions, suite: OpenSuite, sizes: Sizes
) -> tuple[Model, OpenSuite]:
    """Return the model and the suite as they go together.

    The suite's images get the model's size, and the labels of a clean set that lacks some of the model's classes count
    in all of these; then the model's logits are put in the order of the suite's classes.

    Raises:
        RobenchError: as :func:`as_model`, classes that do not go together, or a model whose images would not be
            prepared as its configuration says.
    """
    from robench.api.suites import fitted

    loaded = as_model(given, options, data_classes(suite))
    _refuse_other_geometry(loaded, suite, sizes)
    suite = fitted(suite, loaded.preprocessing.geometry, sizes, loaded.num_classes)
    _refuse_told_width(loaded, options, suite)
    return in_order(loaded, names_of(suite), suite.suite.num_classes), suite


def _refuse_other_geometry(loaded: Model, suite: OpenSuite, sizes: Sizes) -> None:
    """Refuse a model whose own geometry counts but is not a resize and a centre crop.

    Raises:
        RobenchError: so it is, and no option says what to do instead.
    """
    from robench.models.published import LEFT_OUT

    if suite.suite.fixed_geometry or sizes.resize is not None or suite.options.geometry is not None:
        return
    for card in (loaded.card, *(member["card"] for member in loaded.card.get("members", ()))):
        if LEFT_OUT in card:
            raise RobenchError(
                f"The configuration of {loaded.name} asks for {card[LEFT_OUT]}; robench resizes and crops to a square.",
                hint="Give `resize` and `crop` to measure it so, such as `resize=224`, `crop=224`, or wrap the model"
                " with its own preprocessing: `model='python:FILE.py:FUNCTION'`",
            )


def _refuse_told_width(model: Model, options: ModelOptions, suite: OpenSuite) -> None:
    """Refuse a number of classes that only the option says, where the suite has another.

    Raises:
        RobenchError: so it is; what the model itself has is not known before it runs.
    """
    from robench.models.classes import advice_on_width
    from robench.models.request import last_width

    needed = suite.suite.num_classes
    if options.num_classes in (None, needed) or needed is None or model.classes is not None:
        return
    if options.num_classes == model.num_classes and last_width(model.module) != model.num_classes:
        raise RobenchError(
            f"`num_classes={options.num_classes}` does not go with the data, which has {needed:,}"
            f" class{'es' if needed > 1 else ''}.",
            hint=f"Omit `num_classes` if {model.name} has {needed:,} outputs. If not:"
            f" {advice_on_width(model.num_classes, needed)}",
        )


def data_classes(suite: OpenSuite) -> DataClasses:
    """Return what a model is told of a suite's classes; of other images than the model's own it is told nothing."""
    count = suite.suite.num_classes or None
    return DataClasses(count, names_of(suite) if count else None, _dataset_of(suite))


def names_of(suite: OpenSuite) -> tuple[str, ...] | None:
    """Return the names of a suite's classes by label: its images', or those of its data set, or None.

    Where labels count in some of the classes, or in superclasses, the names are those of the model's outputs.
    """
    from robench.data.classes import class_list

    own = suite.classes
    if own is None or (len(own) != suite.suite.num_classes and (suite.suite.subset or suite.suite.superclasses)):
        return class_list(_dataset_of(suite))
    return tuple(own)


def _dataset_of(suite: OpenSuite) -> str | None:
    """Return the data set that the model's classes are of; the name of a folder of outliers is of none."""
    return None if suite.suite.task == "ood" and suite.suite.subset is None else suite.suite.dataset


def in_order(model: Model, classes: Sequence[str] | None, count: int | None) -> Model:
    """Return the model with its logits in the order of these classes, of which there are ``count``."""
    from robench.models.classes import in_order_of

    return model if count is None else in_order_of(model, classes, count)


def _load(given: ModelLike, options: ModelOptions, data: DataClasses) -> Model:
    from robench.models import load_model, wrap
    from robench.models.base import Model

    if isinstance(given, Model):
        refuse(options, [one.name for one in fields(options)], "a model that is already loaded", heeds=_JOINED)
        return given
    mean, std = _normalisation(options)
    if isinstance(given, (str, Path)):
        spec = str(given)
        if not is_weights(spec):
            refuse(options, _OF_WEIGHTS, f"'{spec}', which brings its architecture")
        model = load_model(
            spec,
            arch=options.arch,
            # The data's number of classes is that of the chosen outputs, not of all.
            num_classes=options.num_classes or (None if _selects(spec) else data.count),
            mean=mean,
            std=std,
            norm=options.norm or "bn",
            ema=options.ema,
            prompts=options.prompts,
            class_names=options.class_names,
            classes=data.names,
            dataset=data.dataset,
        )
        if is_weights(spec):
            _refuse_without_normalisation(model, spec)
        if "zero_shot" not in model.card:
            refuse(options, _OF_ZERO_SHOT, f"'{spec}', which has a head of its own")
    else:
        refuse(options, _OF_ZERO_SHOT, "a module or function, which has a head of its own")
        refuse(options, _OF_WEIGHTS, "a module or function, which brings its architecture")
        model = wrap(given, num_classes=options.num_classes or data.count, mean=mean, std=std, name=options.name)
    width: int | None = model.num_classes
    if isinstance(given, (str, Path)) and _selects(str(given)):
        width = getattr(model.module, "outputs", options.num_classes)
    if options.num_classes not in (None, width):
        raise RobenchError(
            f"{model.name} has {width} output classes; `num_classes` says {options.num_classes}.",
            hint="Omit `num_classes`.",
        )
    return model


def _refuse_without_normalisation(model: Model, spec: str) -> None:
    """Refuse bare weights of which nothing says how their images were normalised: errors would be far too large.

    Raises:
        RobenchError: neither options, file nor architecture say it.
    """
    if model.preprocessing.origin == "default" and "normalises" not in model.card:
        likely = {10: "cifar10", 100: "cifar100"}.get(model.num_classes, "imagenet")
        raise RobenchError(
            f"{spec} does not say which normalisation {model.card['architecture']} was trained with.",
            hint=f"Add `norm_preset='{likely}'` or `norm_preset='half'` (or `mean` and `std`), or `norm_preset='none'`"
            " for images in [0, 1].",
        )


_JOINED = ("name", "ensemble")


def refuse(options: ModelOptions, names: Sequence[str], whose: str, heeds: Sequence[str] = ()) -> None:
    """Refuse those of the named options that differ from their defaults."""
    usual = ModelOptions()
    for name in names:
        if name not in heeds and getattr(options, name) != getattr(usual, name):
            raise RobenchError(f"`{name}` has no effect on {whose}.", hint=f"Omit `{name}`.")


def is_weights(spec: str) -> bool:
    """Return whether a spec names a file of weights, which needs an architecture."""
    from robench.models.queries import split
    from robench.models.torchscript import is_torchscript

    path = Path(split(spec)[0]).expanduser()
    if not path.exists():
        return ":" not in spec and path.suffix not in (".onnx", ".pt2")
    return path.is_file() and path.suffix not in (".onnx", ".pt2") and not is_torchscript(path)


def _selects(spec: str) -> bool:
    """Return whether a spec keeps some of a model's outputs: ``num_classes`` then counts all of them."""
    from robench.models.queries import split

    return split(spec)[1].outputs is not None


def _normalisation(options: ModelOptions) -> tuple[Triple | None, Triple | None]:
    from robench.models import preset

    return preset(options.norm_preset) if options.norm_preset is not None else (options.mean, options.std)


def _named(model: Model, name: str | None) -> Model:
    from robench.models.posthoc import marked

    return model if name is None else marked(replace(model, name=name))


def title_of(model: ModelLike) -> str:
    """Return what a model is called before it is loaded."""
    if isinstance(model, (str, Path)):
        return str(model)
    return str(getattr(model, "name", None) or getattr(model, "__name__", None) or type(model).__name__)
