"""One image under every corruption at every severity, for ``robench plot corruptions-gallery``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from robench.api.options import Place
from robench.api.words import place, spelled_out, whole
from robench.errors import RobenchError

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    from matplotlib.figure import Figure


@spelled_out()
def gallery(
    image: Place | None = None,
    *,
    size: int | None = None,
    index: int = 0,
    seed: int = 0,
    title: str | None = None,
    width: float | None = None,
) -> Figure:
    """Draw one image under every corruption at every severity; see :func:`corrupted_images` for the arguments.

    ``title`` and ``width`` are those of :meth:`robench.plots.registry.Plot.drawn`.
    """
    from robench.plots.gallery import gallery as draw
    from robench.plots.wishes import wanted

    with wanted(title, width):
        return draw(corrupted_images(image, size=size, index=index, seed=seed))


@spelled_out()
def corrupted_images(
    image: Place | None = None, *, size: int | None = None, index: int = 0, seed: int = 0
) -> dict[str, npt.NDArray[np.uint8]]:
    """Return corruption -> uint8 (5, H, W, 3), severities 1 to 5, in the benchmark's order; ``clean`` is (1, H, W, 3).

    Args:
        image: an image file; None: a digit of the embedded test set.
        size: the shorter side is resized to it and the centre cropped; None: 224, for a digit 32.
        index: the image's index, which the randomness depends on; also which digit.
        seed: of the corruptions.

    Raises:
        RobenchError: the image cannot be read, or there are not so many digits.

    >>> grid = corrupted_images(index=3)
    >>> grid["clean"].shape, grid["fog"].shape, grid["fog"].dtype
    ((1, 32, 32, 3), (5, 32, 32, 3), dtype('uint8'))
    """
    import numpy as np
    import torch

    from robench.corruptions import corrupt
    from robench.corruptions.severities import BENCHMARK, EXTRA

    for name, value, least, most in (("size", size, 32, 4096), ("index", index, 0, 2**31), ("seed", seed, 0, 2**31)):
        if value is not None:
            whole(name, value, least=least, most=most)
    clean = digit(index, size) if image is None else photograph(place("image", image), size or 224)
    batch = torch.from_numpy(clean).permute(2, 0, 1)[None].contiguous()
    grid = {"clean": clean[None]}
    for name in (*BENCHMARK, *EXTRA):
        made = [corrupt(batch, name, severity, index=np.array([index]), seed=seed) for severity in range(1, 6)]
        grid[name] = torch.cat(made).permute(0, 2, 3, 1).contiguous().numpy()
    return grid


def digit(index: int, size: int | None) -> npt.NDArray[np.uint8]:
    """Return a digit of the embedded test set, uint8 (size, size, 3).

    Raises:
        RobenchError: there are not so many.
    """
    import numpy as np

    from robench.data import digits

    images = digits.load("test")
    if index >= len(images):
        raise RobenchError(
            f"There are {len(images)} digits; index {index} is out of range.",
            hint=f"Choose `index` from 0 to {len(images) - 1}.",
        )
    return _resized(images.read(np.array([index]))[0], size or digits.SIZE)


def photograph(path: Path, size: int) -> npt.NDArray[np.uint8]:
    """Return the centre of an image file, uint8 (size, size, 3).

    Raises:
        RobenchError: it cannot be read.
    """
    from robench.data.formats import CorruptImageError, read_rgb

    try:
        return _resized(read_rgb(path), size)
    except CorruptImageError as problem:
        raise RobenchError(problem.message, hint="Give a PNG or JPEG file.") from problem


def _resized(pixels: npt.NDArray[np.uint8], size: int) -> npt.NDArray[np.uint8]:
    """Return (size, size, 3): the shorter side resized, the centre cropped, as ImageNet-C's images are prepared."""
    import numpy as np
    from PIL import Image

    height, width = pixels.shape[:2]
    scale = size / min(height, width)
    image = Image.fromarray(pixels)
    if scale != 1:
        image = image.resize((round(width * scale), round(height * scale)), Image.Resampling.BILINEAR)
    left, top = (image.width - size) // 2, (image.height - size) // 2
    return np.array(image.crop((left, top, left + size, top + size)))
