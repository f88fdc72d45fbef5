"""What training sees of an image, recipe by recipe, for ``robench plot augmentations``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from robench.api.gallery import digit, photograph
from robench.api.options import Place
from robench.api.words import names, place, spelled_out, whole
from robench.errors import RobenchError

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    from matplotlib.figure import Figure

    from robench.api.train import Settings
    from robench.training.recipes.schema import Recipe


@spelled_out()
def augmentations(
    recipe: str,
    *,
    image: Place | None = None,
    count: int = 8,
    index: int = 0,
    set: Settings = (),
    networks: Place | None = None,
    title: str | None = None,
    width: float | None = None,
    labels: str | Sequence[str] | None = None,
) -> Figure:
    """Draw what training sees of an image; see :func:`augmented_images` for the arguments.

    ``title``, ``width`` and ``labels`` (one per recipe) are those of :meth:`robench.plots.registry.Plot.drawn`.
    """
    from robench.plots.gallery import gallery
    from robench.plots.wishes import label_list, wanted

    called = None if labels is None else label_list(labels, len(names("recipe", recipe)), "recipe")
    with wanted(title, width):
        found = augmented_images(recipe, image=image, count=count, index=index, set=set, networks=networks)
        if called is not None and len({"clean", *called}) <= len(called):
            raise RobenchError(f"`labels` must differ; found {', '.join(called)}.", hint="'clean' is taken.")
        shown = found if called is None else dict(zip(["clean", *called], found.values(), strict=True))
        return gallery(shown, titles=False, in_words=False)


@spelled_out()
def augmented_images(
    recipe: str,
    *,
    image: Place | None = None,
    count: int = 8,
    index: int = 0,
    set: Settings = (),
    networks: Place | None = None,
) -> dict[str, npt.NDArray[np.uint8]]:
    """Return recipe -> uint8 (n, H, W, 3): the views of an image that the network is given, flips and crops apart.

    The network is untrained, so that the images of attacks and of AugMax are the hardest for it, not for a trained one.

    Args:
        recipe: one or several recipes of one image size, ``"augmix-digits,cutout-digits"``.
        image: an image file; None: a digit of the embedded test set.
        count: how many views of every recipe; a method with fewer different ones has fewer.
        index: which digit, and the image's index, which the randomness depends on.
        set: settings of the recipes to override, ``"options.severity=5"``.
        networks: folder that holds the trained networks of DeepAugment in folders named after their recipes
            (``edsr-digits``, ``cae-digits``).

    Returns:
        ``clean`` (1, H, W, 3) and the recipes, in the order given.

    Raises:
        RobenchError: no such recipe or image, recipes of several sizes, or networks that are missing.

    >>> grid = augmented_images("cutout-digits,augmix-digits", count=3)
    >>> {name: one.shape for name, one in grid.items()}
    {'clean': (1, 32, 32, 3), 'cutout-digits': (3, 32, 32, 3), 'augmix-digits': (3, 32, 32, 3)}
    """
    import numpy as np

    from robench.api.train import settings_of
    from robench.training import recipes
    from robench.training.showing import views

    whole("count", count, least=1, most=24)
    whole("index", index, least=0, most=2**31)
    loaded = [recipes.load(name, settings_of(set)) for name in names("recipe", recipe)]
    sizes = {one.data.size for one in loaded}
    if len(sizes) > 1:
        raise RobenchError(
            f"These recipes train at {' and '.join(map(str, sorted(sizes)))} pixels.", hint="Plot one size at a time."
        )
    size = sizes.pop()
    clean = digit(index, size) if image is None else photograph(place("image", image), size)
    # Methods that mix take a partner: another digit, or the image upside down.
    partner = digit(index + 1 if index else 1, size) if image is None else clean[::-1]
    batch = np.stack([clean, partner, clean[:, ::-1], partner[:, ::-1]])
    grid = {"clean": clean[None]}
    for one in loaded:
        grid[one.name] = views(
            one, batch, count, _folders(one, None if networks is None else place("networks", networks))
        )
    return grid


def _folders(recipe: Recipe, parent: Path | None) -> Mapping[str, Path]:
    """Return where the networks are that a recipe needs.

    Raises:
        RobenchError: one is missing.
    """
    from robench.training.engine import needed

    found: dict[str, Path] = {}
    for name in needed.networks(recipe):
        folder = needed.find(name, parent or Path("runs"))
        if folder is None:
            raise RobenchError(
                f"{recipe.name} distorts images by the network of {name}, which is not in {parent or 'runs'}.",
                hint=f"Train it with `robench.train('{name}')`, and give its parent folder in `networks`.",
            )
        found[name] = folder
    return found
