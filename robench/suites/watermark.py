"""ImageNet-W: ImageNet's validation images under a watermark, drawn by the authors' own package."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from robench.data.encoded import EncodedImages
from robench.data.find import open_images
from robench.errors import RobenchError
from robench.suites.base import Cell, OpenOptions, Suite
from robench.suites.opened import Found, choose_cells
from robench.suites.reading import Transform, View, view_of

if TYPE_CHECKING:
    import torch

PACKAGE = "imagenet-w"
Draw = Callable[[Any], Any]


def open_watermarked(suite: Suite, data: Path | None, options: OpenOptions) -> Found:
    """Open ImageNet's validation images, and the same under the watermark of the package ``imagenet-w``.

    Args:
        suite: the protocol.
        data: ImageNet's validation set.
        options: ``geometry`` in place of the suite's; the watermark is drawn after it.

    Raises:
        RobenchError: no such set, or the package is not installed.
    """
    if data is None:
        raise RobenchError(f"{suite.name} needs data.", hint="Give ImageNet's validation folder: `data`.")
    cells = choose_cells(suite, options)
    made_by = _package() if any(cell.condition != suite.clean for cell in cells) else None
    geometry = options.geometry or suite.geometry
    clean = open_images(data, split="test", dataset="imagenet", geometry=geometry, workers=options.workers)
    if not isinstance(clean, EncodedImages) or clean.labels is None:
        raise RobenchError(f"{data} holds no labelled ImageNet images.", hint="Give ImageNet's validation folder.")

    def view(cell: Cell) -> View:
        return view_of(clean, None if cell.condition == suite.clean else watermarked())

    protocol: dict[str, Any] = {"clean": clean.checksum(), "geometry": geometry.record()}
    if made_by is not None:
        protocol["watermark"] = f"{PACKAGE} {made_by}"
    return Found(suite, cells, "generated", view, protocol, clean.classes, remarks=tuple(clean.remarks))


def watermarked() -> Transform:
    """Return the function that draws the watermark over a batch, at the size of its images."""

    def transform(pixels: torch.Tensor, index: npt.NDArray[np.int64]) -> torch.Tensor:
        import torch
        from PIL import Image

        draw = _drawing(min(pixels.shape[-2:]))
        rows = pixels.permute(0, 2, 3, 1).cpu().numpy()
        made = [np.asarray(draw(Image.fromarray(np.ascontiguousarray(image)))) for image in rows]
        return torch.from_numpy(np.stack(made)).permute(0, 3, 1, 2).to(pixels.device) if made else pixels

    return transform


@cache
def _drawing(side: int) -> Draw:
    from imagenet_w import AddWatermark

    found: Draw = AddWatermark(side)
    return found


def _package() -> str:
    """Return the installed version of the package that draws the watermark.

    Raises:
        RobenchError: it is not installed, or cannot be imported.
    """
    try:
        import imagenet_w  # noqa: F401

        return version(PACKAGE)
    except (ImportError, PackageNotFoundError) as error:
        raise RobenchError(
            f"The watermark of ImageNet-W is drawn by the authors' package, which could not be loaded: {error}",
            hint=f"Install it: pip install {PACKAGE}. Its licence, CC BY-NC 4.0, allows no commercial use.",
        ) from error
