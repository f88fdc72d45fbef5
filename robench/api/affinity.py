"""``robench.affinity(model, recipe)``: how far a recipe's augmented images are from what a model was trained on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Unpack, cast

from robench.api.options import EngineWords, EvaluateWords, ModelWords, Place, SizeWords
from robench.api.words import place, spelled_out, whole

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from robench.api.options import ModelLike
    from robench.api.train import Settings
    from robench.evaluation.options import EvaluationOptions
    from robench.models.base import Model
    from robench.results.affinities import ImagesRecord
    from robench.suites import OpenSuite
    from robench.training.recipes.schema import Recipe

_RESAMPLES = 1000


class AffinityWords(ModelWords, SizeWords, EngineWords, total=False):
    """Keywords of :func:`affinity`, beside its own."""

    limit: int | None
    split: str | None
    workers: int | None


@dataclass(frozen=True)
class Affinity:
    """Affinity of an augmentation, as fractions.

    Args:
        model, recipe: their names.
        images: number of test images.
        clean_accuracy, augmented_accuracy: of the model on them as they are, and augmented.
        value: augmented minus clean accuracy.
        low, high: its 95% bootstrap interval over images; both accuracies are of the same images.
        document: what ``out`` writes, and :func:`robench.api.table` reads.
    """

    model: str
    recipe: str
    images: int
    clean_accuracy: float
    augmented_accuracy: float
    value: float
    low: float
    high: float
    document: dict[str, Any] = field(repr=False)


@spelled_out(AffinityWords)
def affinity(
    model: ModelLike | Sequence[ModelLike],
    recipe: Place,
    *,
    data: Place | None = None,
    set: Settings = (),
    seed: int = 0,
    out: Place | None = None,
    **words: Unpack[AffinityWords],
) -> Affinity:
    """Measure a model, trained on clean images, on test images as a recipe augments its training images.

    Gontijo-Lopes et al. 2020 (Affinity and Diversity): accuracy on augmented images minus accuracy on clean ones, of
    one model. 0: the model sees no shift. Table 1 of the split-BatchNorm paper has it for weak augmentations.

    Args:
        model: as for :func:`robench.evaluate`; trained on clean images.
        recipe: a recipe, of whose method the view is taken (of Weak Augment the weak one), or a YAML file.
        data: the clean test set; None: the embedded digits.
        set: fields of the recipe to override.
        seed: of the augmentation.
        out: a JSON file to write, which fills cells of ``split-bn/1``; None: write nothing.
        words: options of the model, of the images and of the engine, as for :func:`robench.evaluate`: ``limit=1000``.

    Raises:
        RobenchError: as :func:`robench.evaluate`; or the method has no single view, or another size of images.

    >>> import robench
    >>> found = robench.affinity("reference:digits/standard", "cutout-digits", limit=60, device="cpu")
    >>> found.images, found.value == found.augmented_accuracy - found.clean_accuracy, found.value <= 0
    (60, True, True)
    """
    from robench import __version__
    from robench.api.evaluate import loaded_and_opened
    from robench.api.packing import pack
    from robench.api.train import settings_of
    from robench.files import write_json
    from robench.results.affinities import AffinityDocument, ViewRecord
    from robench.results.schema import ModelRecord, Value
    from robench.training import recipes
    from robench.training.recipes.digest import digest

    whole("seed", seed, least=0, most=2**31)
    path = None if out is None else place("out", out)
    loaded_recipe = recipes.load(str(place("recipe", recipe)), settings_of(set))
    given = pack(cast(EvaluateWords, words))
    loaded, opened = loaded_and_opened(model, "clean", data, given)
    clean, augmented = _correct(loaded, opened, loaded_recipe, given.engine, seed)
    accuracies = float(clean.mean()), float(augmented.mean())
    low, high = _interval(augmented.astype(float) - clean, seed)
    value = Value(value=accuracies[1] - accuracies[0], low=low, high=high)
    document = AffinityDocument(
        robench=__version__,
        model=ModelRecord.model_validate(loaded.record()),
        view=ViewRecord(recipe=loaded_recipe.name, digest=digest(loaded_recipe), seed=seed),
        data=_images(opened, data, len(clean)),
        clean_accuracy=accuracies[0],
        augmented_accuracy=accuracies[1],
        affinity=value,
    ).model_dump(mode="json")
    if path is not None:
        write_json(path, document)
    counts = loaded.name, loaded_recipe.name, len(clean)
    return Affinity(*counts, *accuracies, accuracies[1] - accuracies[0], low, high, document)


def _images(opened: OpenSuite, data: Place | None, count: int) -> ImagesRecord:
    from robench.results.affinities import ImagesRecord

    (cell,) = opened.suite.cells
    return ImagesRecord(
        path=str(data or "digits"),
        images=count,
        complete=count == opened.total(cell),
        classes=None if opened.classes is None else list(opened.classes),
        protocol=opened.protocol,
    )


def _correct(
    model: Model, suite: OpenSuite, recipe: Recipe, options: EvaluationOptions, seed: int
) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
    """Return whether the model is right on the clean and on the augmented images, bool (n,) each."""
    import numpy as np
    import torch

    from robench.errors import RobenchError
    from robench.evaluation.forward import Forward
    from robench.training import methods
    from robench.training.engine import needed
    from robench.training.engine.batch import Batch
    from robench.training.engine.network import Network

    before, method = methods.of(recipe)
    for one in (method,) if before is None else (before, method):
        one.locate(needed.trained(recipe))
    forward = Forward(model, options)
    pre = model.preprocessing
    net = Network(model.module, pre.mean, pre.std, torch.device(forward.device))  # type: ignore[arg-type]
    clean, augmented = [], []
    (cell,) = suite.suite.cells
    for images in suite.batches(cell, options.resolved_batch_size(forward.device, model), device=forward.device):
        side = recipe.data.size
        if tuple(images.images.shape[2:]) != (side, side):
            raise RobenchError(
                f"The recipe augments images of {side} x {side} pixels; these have {tuple(images.images.shape[2:])}.",
                hint="Use a recipe of this data set, or `resize` and `crop`.",
            )
        labels = torch.from_numpy(images.target).to(forward.device)
        index = torch.from_numpy(images.index).to(forward.device)
        batch = Batch(images.images.contiguous(), labels, index, recipe.data, seed, 0)
        batch = batch if before is None else before.shown(batch)
        view = method.labelled_view(net, batch)
        pixels = view.float() / 255.0 if view.dtype == torch.uint8 else view
        with torch.no_grad():
            found = forward.of_pixels(pixels).argmax(dim=1)
        clean.append((forward(images.images).argmax(dim=1) == labels).cpu().numpy())
        augmented.append((found == labels).cpu().numpy())
    return np.concatenate(clean), np.concatenate(augmented)


def _interval(differences: npt.NDArray[np.float64], seed: int) -> tuple[float, float]:
    """Return the 95 % interval of the mean, as wide at least as so few images allow (answers may all be alike)."""
    from robench.metrics.least_error import least_error
    from robench.metrics.statistics import interval
    from robench.results.intervals import NORMAL_95

    drawn, middle = _replicates(differences, seed), float(differences.mean())
    low, high = (float(end) for end in interval(drawn))
    least = least_error([1.0], [len(differences)])
    reach = NORMAL_95 * least if float(drawn.std()) <= least else 0.0
    return min(low, middle - reach), max(high, middle + reach)


def _replicates(differences: npt.NDArray[np.float64], seed: int) -> npt.NDArray[np.float64]:
    """Return the mean of resampled differences, (resamples,): they have three values, of which counts are drawn."""
    import numpy as np

    values, counts = np.unique(differences, return_counts=True)
    drawn = np.random.default_rng(seed).multinomial(counts.sum(), counts / counts.sum(), _RESAMPLES)
    return np.asarray(drawn @ values / counts.sum(), np.float64)
