"""``robench.fourier(model)``: which frequencies a model is sensitive to, as a heat map or under low-pass filters."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack

from robench.api import words as w
from robench.api.options import EngineWords, ModelOptions, ModelWords, Place, SizeWords
from robench.errors import RobenchError
from robench.processes import quietly

if TYPE_CHECKING:
    from robench.api.options import EngineOptions, ModelLike
    from robench.api.packing import Sizes
    from robench.data.base import Interpolation
    from robench.evaluation import Progress
    from robench.evaluation.fourier import FourierOptions
    from robench.models.base import Model
    from robench.suites import OpenSuite


USUAL_LIMIT = 1000  # images, as in Yin et al. 2019
USUAL_LIMIT_WITHIN = 10_000


class FourierWords(ModelWords, SizeWords, total=False):
    """Keywords of :func:`fourier` beside its own: how the model is loaded, how images are sized, where it runs."""

    device: str | None
    precision: str | None
    batch_size: int | None
    compile: bool | None


@dataclass(frozen=True)
class Sensitivity:
    """The errors of a model under Fourier perturbations, or on low-pass filtered images.

    Args:
        model: the model's name.
        images: number of images.
        error: fractions: rows of the map, low frequencies in the centre; or one per bandwidth.
        clean_error: a fraction; None for a low-pass curve.
        bandwidths: of the low-pass filters; None for a map.
        path: where the document was written, which ``robench.plots`` reads.
        document: what was written.
    """

    model: str
    images: int
    error: list[Any] = field(repr=False)
    clean_error: float | None
    bandwidths: list[int] | None
    path: Path
    document: dict[str, Any] = field(repr=False)


@w.spelled_out(FourierWords)
def fourier(
    model: ModelLike | Sequence[ModelLike],
    *,
    data: Place | None = None,
    out: Place | None = None,
    limit: int | None = None,
    within: float | None = None,
    strength: float = 4.0,
    window: int | None = None,
    signs: bool = True,
    seed: int = 0,
    lowpass: str | Sequence[int] | None = None,
    fold: bool = True,
    quiet: bool = False,
    progress: Progress | None = None,
    model_options: ModelOptions | None = None,
    **words: Unpack[FourierWords],
) -> Sensitivity:
    """Measure a model's error under every vector of the Fourier basis (Yin et al. 2019), or under low-pass filters.

    Args:
        model: as for :func:`robench.evaluate`.
        data: clean images with labels; None: the embedded digits.
        out: the document to write; None: ``fourier-MODEL.json`` or ``lowpass-MODEL.json``. A map that was stopped
            resumes when it is asked for again.
        limit: number of images, drawn as :func:`robench.evaluate` draws them; None: 1,000, or 10,000 with ``within``.
        within: points (percent) within which every frequency's error is to be known, by its 95 % interval for the error
            on all of these images. Each frequency then takes images of its own, only as many as it needs; half-widths
            stand in the document.
        strength: L2 norm of the perturbation per channel, images in [0, 1]; 4 on CIFAR-10 in the paper.
        window: measure only the centred square of this many lowest frequencies; None: all.
        signs: draw the perturbation's sign at random for every image and channel.
        seed: of the signs.
        lowpass: bandwidths, ``"4,8,16"`` or a sequence: the low-pass curve instead of the map.
        fold: fold batch norms into the convolutions before them.
        quiet: show no progress.
        progress: shows progress; None: a bar on a terminal, else plain lines.
        model_options: how the model is loaded.
        words: the same as keywords, and sizes and precision; see :class:`FourierWords`.

    Raises:
        RobenchError: bad input, or an option that would have no effect; the message says what to do.

    >>> import tempfile, robench
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     curve = robench.fourier("reference:digits/standard", lowpass="4,32", limit=100, device="cpu", quiet=True,
    ...                             out=f"{folder}/curve.json")
    >>> curve.bandwidths, curve.images, curve.error[0] > curve.error[1]
    ([4, 32], 100, True)
    """
    from robench.api.packing import engine_of, interpolation_of, model_of, sizes_of
    from robench.evaluation.fourier import fourier_map
    from robench.evaluation.lowpass import low_pass_curve
    from robench.evaluation.progress import make_progress
    from robench.files import write_json

    bandwidths = None if lowpass is None else _bandwidths(lowpass)
    sizes = sizes_of(words)
    engine = engine_of(
        EngineWords(
            device=words.get("device"),
            precision=words.get("precision"),
            batch_size=words.get("batch_size"),
            compile=words.get("compile"),
        )
    )
    options = _options(engine, strength, window, signs, seed, fold, _fraction(within, bandwidths))
    path_asked = None if out is None else w.place("out", out)
    usual = USUAL_LIMIT if within is None else USUAL_LIMIT_WITHIN
    opened = _open(data, usual if limit is None else limit, interpolation_of(words))
    how = model_of(words, model_options)
    with quietly(quiet):
        loaded, images, target, protocol = _material(model, how, opened, sizes)
    kind = "fourier" if bandwidths is None else "lowpass"
    path = path_asked or Path(f"{kind}-{loaded.name.replace('/', '-')}.json")
    if path.is_dir():
        raise RobenchError(f"{path} is a folder.", hint="Set `out` to a file's name, such as map.json.")
    state = path.with_suffix(".state.json")
    if bandwidths is not None:
        document = low_pass_curve(loaded, images, target, bandwidths, options)
    else:
        shown = progress or make_progress(loaded.name, quiet=quiet)
        document = fourier_map(loaded, images, target, options, state=state, progress=shown)
    document |= {"data": {"path": str(data or "digits"), "protocol": protocol}, "model_record": _record(loaded)}
    write_json(path, document)
    if bandwidths is None:
        state.unlink(missing_ok=True)
    return Sensitivity(
        model=document["model"],
        images=document["images"],
        error=document["error"],
        clean_error=document.get("clean_error"),
        bandwidths=bandwidths,
        path=path,
        document=document,
    )


def _record(model: Model) -> dict[str, Any]:
    """Return what the model is, as a result has it."""
    from robench.results.schema import ModelRecord

    return ModelRecord.model_validate(model.record()).model_dump(mode="json")


def _bandwidths(given: str | Sequence[int]) -> list[int]:
    parts = [part.strip() for part in given.split(",")] if isinstance(given, str) else [str(part) for part in given]
    if not parts or not all(part.isdecimal() and len(part) < 7 and int(part) > 0 for part in parts):
        raise RobenchError(
            f"`lowpass` takes whole numbers from 1 on; found {w.shown(given)}.", hint="For example `lowpass='4,8,16'`."
        )
    return [int(part) for part in parts]


def _fraction(within: float | None, bandwidths: list[int] | None) -> float | None:
    """Return the half-width as a fraction."""
    w.both_given([("within", within is not None, "lowpass", bandwidths is not None)])
    return None if within is None else w.number("within", within, above=0.0, below=50.0) / 100


def _options(
    engine: EngineOptions,
    strength: float,
    window: int | None,
    signs: bool,
    seed: int,
    fold: bool,
    within: float | None,
) -> FourierOptions:
    from robench.evaluation.fourier import FourierOptions

    if not isinstance(strength, (int, float)) or not 0 < strength < float("inf"):
        raise RobenchError(
            f"`strength` must be above 0 and finite; found {w.shown(strength)}.", hint="The usual one on CIFAR-10 is 4."
        )
    if window is not None:
        w.whole("window", window, least=1, most=10**6)
    w.whole("seed", seed, least=0)
    return FourierOptions(
        norm=float(strength),
        window=window,
        signs=signs,
        seed=seed,
        device=engine.resolved_device(),
        precision=engine.precision,
        fold=fold,
        compile=engine.compile,
        within=within,
        batch_size=engine.batch_size,
    )


def _open(data: Place | None, limit: int, interpolation: Interpolation | None) -> OpenSuite:
    from robench.suites import OpenOptions, open_suite

    options = OpenOptions(limit=w.whole("limit", limit, least=1, most=2**31), interpolation=interpolation)
    return open_suite("clean", None if data is None else w.place("data", data), options)


def _material(
    model: ModelLike | Sequence[ModelLike], options: ModelOptions, opened: OpenSuite, sizes: Sizes
) -> tuple[Model, Any, Any, Any]:
    """Return the model, uint8 images (n, 3, H, W) as it takes them, labels (n,), and where they came from."""
    import numpy as np
    import torch

    from robench.api.models import model_for

    loaded, opened = model_for(model, options, opened, sizes)
    if loaded.batch_size is not None:
        raise RobenchError(
            f"{loaded.name} takes the statistics of its batches, which here hold one perturbation many times.",
            hint="Omit ?bn=batch.",
        )
    batches = list(opened.batches(opened.suite.cells[0], 500))
    images, target = torch.cat([batch.images for batch in batches]), np.concatenate([b.target for b in batches])
    return loaded, images, target, opened.protocol
