"""AugMix's operations one by one, for ``robench plot operations`` (AugMix, Figure 10)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from robench.api.gallery import digit, photograph
from robench.api.options import Place
from robench.api.words import place, spelled_out, whole

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    from matplotlib.figure import Figure

LEVELS = (1, 3, 5, 7, 9)


@spelled_out()
def operations(
    image: Place | None = None,
    *,
    size: int | None = None,
    index: int = 0,
    title: str | None = None,
    width: float | None = None,
) -> Figure:
    """Draw one image under each of AugMix's operations; see :func:`operation_images` for the arguments.

    ``title`` and ``width`` are those of :meth:`robench.plots.registry.Plot.drawn`.
    """
    from robench.plots.gallery import gallery
    from robench.plots.wishes import wanted

    with wanted(title, width):
        found = operation_images(image, size=size, index=index)
        return gallery(found, titles=[f"level {level}" for level in LEVELS])


@spelled_out()
def operation_images(
    image: Place | None = None, *, size: int | None = None, index: int = 0
) -> dict[str, npt.NDArray[np.uint8]]:
    """Return operation -> uint8 (5, H, W, 3) at levels 1, 3, 5, 7 and 9 of 10; ``clean`` is (1, H, W, 3).

    First AugMix's nine, then the four that overlap with ImageNet-C's corruptions and that AugMix omits. Warps go one
    way; AugMix takes them either way.

    Args:
        image: an image file; None: a digit of the embedded test set.
        size: the shorter side is resized to it and the centre cropped; None: 224, for a digit 32.
        index: which digit.

    Raises:
        RobenchError: the image cannot be read, or there are not so many digits.

    >>> grid = operation_images(index=3)
    >>> list(grid)[:4], grid["rotate"].shape
    (['clean', 'autocontrast', 'equalize', 'posterize'], (5, 32, 32, 3))
    """
    import torch

    from robench.training.ops import augment
    from robench.training.ops import operations as op

    if size is not None:
        whole("size", size, least=32, most=4096)
    whole("index", index, least=0, most=2**31)
    clean = digit(index, size) if image is None else photograph(place("image", image), size or 224)
    levels = torch.tensor(LEVELS, dtype=torch.float64)[:, None]
    batch = torch.from_numpy(clean).permute(2, 0, 1)[None].expand(len(LEVELS), -1, -1, -1).contiguous()
    grid = {"clean": clean[None]}
    for number, name in enumerate(op.AUGMIX_ALL):
        ops = torch.full((len(LEVELS), 1), number)
        values = op.augmix_values(ops, levels, torch.zeros_like(ops, dtype=torch.bool), clean.shape[0])
        grid[name] = augment.apply(batch, ops, values).permute(0, 2, 3, 1).contiguous().numpy()
    return grid
