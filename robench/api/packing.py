"""From keywords to the frozen options of model, suite, engine and report; every range is checked here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

from robench.api import words as w
from robench.api.options import (
    ENSEMBLES,
    INTERPOLATIONS,
    NORMS,
    EngineWords,
    EvaluateWords,
    ModelOptions,
    ModelWords,
    ReportOptions,
    ReportWords,
    SizeWords,
    SuiteWords,
)
from robench.api.within import Target, targets_of
from robench.errors import RobenchError
from robench.models.presets import triple
from robench.processes import PRECISIONS, check_device

if TYPE_CHECKING:
    from robench.api.options import ModelLike
    from robench.data.base import Geometry, Interpolation
    from robench.evaluation.options import EvaluationOptions
    from robench.suites import OpenOptions

T = TypeVar("T")


@dataclass(frozen=True)
class Sizes:
    """The resize and crop that the user chose, in pixels; None: the model's, or by default the suite's."""

    resize: int | None = None
    crop: int | None = None

    def over(self, interpolation: Interpolation | None, *owns: Geometry | None) -> Geometry | None:
        """Return the geometry with these parts in place of those of the first of ``owns`` that is there.

        None: nothing was chosen.

        Raises:
            RobenchError: the chosen resize is smaller than the crop that stays, or the crop larger than the resize.
        """
        from robench.data.base import Geometry

        if self == Sizes() and interpolation is None:
            return None
        base = next((own for own in owns if own is not None and own != Geometry()), Geometry())
        if self.resize is not None:
            base = replace(base, resize=self.resize)
        if self.crop is not None:
            base = replace(base, crop=self.crop)
        side = base.resize if base.resize is None or isinstance(base.resize, int) else min(base.resize)
        if self != Sizes() and side is not None and base.crop is not None and base.crop > side:
            chosen, other = ("resize", "crop") if self.crop is None else ("crop", "resize")
            raise RobenchError(
                f"`{chosen}={getattr(self, chosen)}` does not go with the model's or suite's own {other} of"
                f" {base.crop if other == 'crop' else side} pixels: the crop would be larger than the image.",
                hint=f"Give `{other}` too, such as `{other}={getattr(self, chosen)}`.",
            )
        return replace(base, interpolation=interpolation or base.interpolation)


@dataclass(frozen=True)
class Given:
    """Everything that one call was told, in its parts."""

    model: ModelOptions
    suite: OpenOptions
    sizes: Sizes
    engine: EvaluationOptions
    report: ReportOptions
    within: tuple[Target, ...] = ()
    surrogate: ModelLike | None = None
    with_run: Path | None = None


def pack(
    words: EvaluateWords,
    model: ModelOptions | None = None,
    suite: OpenOptions | None = None,
    engine: EvaluationOptions | None = None,
    report: ReportOptions | None = None,
) -> Given:
    """Return the options that keywords and option objects give together.

    Raises:
        RobenchError: a value that is impossible, two options that exclude each other, or one given twice.
    """
    sizes = sizes_of(words)
    suite_options = suite_of(words, suite)
    if sizes != Sizes() and suite_options.geometry is not None:
        raise _twice("resize", "suite_options")
    within = words.get("within")
    w.both_given([("limit", suite_options.limit, "within", within is not None)])
    return Given(
        model_of(words, model),
        suite_options,
        sizes,
        engine_of(words, engine),
        report_of(words, report),
        () if within is None else targets_of(within),
        words.get("surrogate"),
        _with_run(words.get("with_run"), sampled=suite_options.limit is not None or within is not None),
    )


def _with_run(given: Any, *, sampled: bool) -> Path | None:
    if given is None:
        return None
    if not sampled:
        raise RobenchError(
            "`with_run` makes the interval of a sample narrower; a run of all images has none to make narrower.",
            hint="Add `within`, for example `within=0.5`, or omit `with_run`.",
        )
    return w.place("with_run", given)


def model_of(words: ModelWords, options: ModelOptions | None = None) -> ModelOptions:
    """Return how a model is loaded.

    Raises:
        RobenchError: a value that is impossible, or half a normalisation.
    """
    kept = _laid_over(options or ModelOptions(), words, ModelWords, "model_options")
    if kept.num_classes is not None:
        w.whole("num_classes", kept.num_classes, least=1, most=10**7)
    mean, std = triple("mean", kept.mean), triple("std", kept.std)
    w.both_given(
        [("norm_preset", kept.norm_preset, "mean", mean), ("norm_preset", kept.norm_preset, "std", std)],
    )
    if (mean is None) != (std is None):
        alone, lacking = ("mean", "std") if std is None else ("std", "mean")
        raise RobenchError(
            f"`{alone}` was given without `{lacking}`: a normalisation needs both.",
            hint=f"Add `{lacking}`, or use `norm_preset`.",
        )
    if kept.norm is not None:
        _check_norm(kept.norm)
    if kept.ensemble is not None:
        w.one_of("ensemble", kept.ensemble, ENSEMBLES)
    texts = [_text_or_place(name, getattr(kept, name)) for name in ("prompts", "class_names")]
    for name in ("arch", "name"):
        _check_text(name, getattr(kept, name))
    w.flag("ema", kept.ema)
    return replace(kept, mean=mean, std=std, prompts=texts[0], class_names=texts[1])


def _text_or_place(name: str, value: object) -> str | None:
    """Return what names a published set or a file."""
    return None if value is None else str(w.place(name, value))


def _check_norm(norm: object) -> None:
    try:
        w.one_of("norm", norm, NORMS)
    except RobenchError as error:
        if isinstance(norm, (int, float)) or str(norm).replace(".", "", 1).isdigit():
            raise RobenchError(
                error.message, hint="The L2 norm of a Fourier perturbation is `robench.fourier(strength=4)`."
            ) from error
        raise


def _check_text(name: str, value: object) -> None:
    if value is not None and (not isinstance(value, str) or not value.strip() or len(value) > 1000):
        raise RobenchError(f"`{name}` must be a short text; found {str(value)[:40]!r}.", hint=f"Omit `{name}`.")
    if isinstance(value, str) and not value.isascii() and value.encode(errors="replace").decode() != value:
        raise RobenchError(f"`{name}` holds bytes that are not text: {value[:40]!r}.", hint="Type it in UTF-8.")


def sizes_of(words: SizeWords) -> Sizes:
    """Return the resize and crop among the keywords.

    Raises:
        RobenchError: a side below 1 or beyond 8192 pixels, or a crop larger than the resize.
    """
    sides = {
        name: w.whole(name, side, least=1, most=8192)
        for name, side in (("resize", words.get("resize")), ("crop", words.get("crop")))
        if side is not None
    }
    resize, crop = sides.get("resize"), sides.get("crop")
    if resize is not None and crop is not None and crop > resize:
        raise RobenchError(
            f"`crop` is larger than `resize`: {crop} pixels of {resize}.",
            hint="Swap them, or give only `resize`.",
        )
    return Sizes(resize, crop)


def interpolation_of(words: SizeWords) -> Interpolation | None:
    """Return the interpolation among the keywords.

    Raises:
        RobenchError: an unknown one.
    """
    given = words.get("interpolation")
    return None if given is None else cast("Interpolation", w.one_of("interpolation", given, INTERPOLATIONS))


# least and largest value of the whole numbers among a suite's options
_WHOLE = {"limit": (1, 2**31), "seed": (0, 2**31), "workers": (1, 4096), "difficulty": (1, 3)}


def suite_of(words: SuiteWords, options: OpenOptions | None = None) -> OpenOptions:
    """Return which images of a suite are opened, without their sizes.

    Raises:
        RobenchError: a value that is impossible.
    """
    from robench.suites import OpenOptions

    told = w.given(words)
    found = {name: told[name] for name in (*_WHOLE, "split", "images", "skip_corrupt") if name in told}
    if "corruption" in told:
        found["conditions"] = w.names("corruption", told["corruption"])
    if "severity" in told:
        found["severities"] = w.severities("severity", told["severity"])
    for name, field in (("clean", "clean"), ("definition", "definition"), ("frost", "frost_dir")):
        if name in told:
            found[field] = str(w.place(name, told[name]))
    if (interpolation := interpolation_of(words)) is not None:
        found["interpolation"] = interpolation
    kept = _replaced(options or OpenOptions(), found, "suite_options")
    for name, (least, most) in _WHOLE.items():
        if getattr(kept, name) is not None:
            w.whole(name, getattr(kept, name), least=least, most=most)
    if kept.severities is not None:
        w.severities("severity", kept.severities)
    _check_text("split", kept.split)
    _check_text("images", kept.images)
    w.flag("skip_corrupt", kept.skip_corrupt)
    return kept


def engine_of(words: EngineWords, options: EvaluationOptions | None = None) -> EvaluationOptions:
    """Return where and how the model runs.

    Raises:
        RobenchError: a value that is impossible.
    """
    from robench.evaluation.options import EvaluationOptions

    told = w.given(words)
    found: dict[str, Any] = {
        name: told[name] for name in ("device", "precision", "batch_size", "compile", "fold") if name in told
    }
    if "keep_logits" in told and (kept := _logits(told["keep_logits"])) is not None:
        found["keep_logits"] = kept
    kept_options = _replaced(options or EvaluationOptions(), found, "engine_options")
    if kept_options.batch_size is not None:
        w.whole("batch_size", kept_options.batch_size, least=1, most=2**31)
    w.one_of("precision", kept_options.precision, PRECISIONS)
    if not isinstance(kept_options.device, str):
        raise RobenchError(
            f"`device` must be a name; found {kept_options.device!r}.", hint="For example `device='cpu'`."
        )
    check_device(kept_options.device)
    for name in ("compile", "fold"):
        w.flag(name, getattr(kept_options, name))
    return kept_options


def _logits(value: object) -> bool | None:
    if isinstance(value, bool):
        return value
    return {"auto": None, "yes": True, "no": False}[w.one_of("keep_logits", value, ("auto", "yes", "no"))]


def report_of(words: ReportWords, options: ReportOptions | None = None) -> ReportOptions:
    """Return how the result is computed and shown.

    Raises:
        RobenchError: a number of resamples below 0 or beyond 100,000.
    """
    kept = _laid_over(options or ReportOptions(), words, ReportWords, "report_options")
    w.whole("resamples", kept.resamples, least=0, most=100_000)
    return kept


def _laid_over(options: T, words: Mapping[str, Any], kind: Any, where: str) -> T:
    """Return options with those keywords of one kind that were given."""
    return _replaced(options, {k: v for k, v in w.given(words).items() if k in kind.__annotations__}, where)


def _replaced(options: T, found: Mapping[str, Any], where: str) -> T:
    """Return options with fields replaced.

    Raises:
        RobenchError: a field that the options set already to something else.
    """
    usual = {field.name: field for field in fields(cast(Any, options))}
    for name, value in found.items():
        there = getattr(options, name)
        if there not in (usual[name].default, value):
            raise _twice(name, where)
    return cast(T, replace(cast(Any, options), **found))


def _twice(name: str, where: str) -> RobenchError:
    return RobenchError(f"'{name}' is given twice: as a keyword and in {where}.", hint="Give it only once.")
