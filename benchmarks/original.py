"""Loads the published generators of ImageNet-C and its kin from a checkout, so that they run on today's packages.

The checkout is hendrycks/robustness. Only the functions are run, not the part that makes a data set; calls that numpy
and scikit-image have dropped since are named anew in memory. Needs Wand and ImageMagick for motion blur and snow.
Nothing of the original is kept in this repository.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from robench.corruptions import ALL

SCRIPTS = {
    32: "make_cifar_c.py",
    64: "make_tinyimagenet_c.py",
    224: "make_imagenet_c.py",
    299: "make_imagenet_c_inception.py",
}
FOLDER = Path("ImageNet-C", "create_c")
RENAMED = {
    "from scipy.ndimage.interpolation import": "from scipy.ndimage import",
    "np.float_": "np.float64",
    "np.fromstring": "np.frombuffer",
    "multichannel=True": "channel_axis=-1",
}
PACKAGES = ("torch", "numpy", "scipy", "scikit-image", "opencv-python-headless", "pillow", "numba", "Wand")
Bytes = npt.NDArray[np.uint8]
Corruption = Callable[[Bytes, int], Bytes]


def load(checkout: Path, size: int, frost: Path | None = None) -> dict[str, Corruption]:
    """Return the generator's 19 functions by name, from uint8 (H, W, 3) and a severity to the same.

    Args:
        checkout: of hendrycks/robustness.
        size: 32, 64, 224 or 299, the side in pixels.
        frost: folder with the generator's frost images; None: the script's own.

    Raises:
        SystemExit: the script is not there, or has another form than expected.
    """
    script = checkout / FOLDER / SCRIPTS[size]
    if not script.is_file():
        raise SystemExit(f"{script} is missing: {checkout} is no checkout of hendrycks/robustness.")
    text = script.read_text(encoding="utf-8")
    found = re.search(r"^# /+ Distortion Helpers /+$.*?^# /+ End Distortions /+$", text, re.MULTILINE | re.DOTALL)
    if found is None:
        raise SystemExit(f"{script} has no part from 'Distortion Helpers' to 'End Distortions'.")
    part = found.group()
    for old, new in RENAMED.items():
        part = part.replace(old, new)
    part = part.replace("'./frost", f"'{(frost or script.parent).resolve()}/frost")
    names: dict[str, Any] = {"np": np, "Image": Image, "__name__": script.stem}
    exec(compile(part, str(script), "exec"), names)
    _one_thread()
    return {name: _on_bytes(names[name]) for name in ALL}


def _one_thread() -> None:
    import cv2

    cv2.setNumThreads(1)


def _on_bytes(function: Callable[..., Any]) -> Corruption:
    """Store as the script does: ``np.uint8`` of what the function returns, which truncates."""

    def corrupt(image: Bytes, severity: int) -> Bytes:
        # A copy: the spatter of mud writes into an array that may share the image's memory.
        return np.asarray(function(Image.fromarray(image.copy()), severity)).astype(np.uint8)

    return corrupt


def photos(folder: Path, count: int, side: int = 224) -> Bytes:
    """Return uint8 (count, side, side, 3): images of a folder, shorter side 8/7 of ``side``, centre crop.

    Args:
        folder: holds JPEGs at any depth.
        count: how many, spread evenly over the sorted paths.
        side: in pixels.
    """
    files = sorted(path for path in folder.rglob("*") if path.suffix.lower() in (".jpeg", ".jpg"))
    if len(files) < count:
        raise SystemExit(f"{folder} holds {len(files)} JPEGs; {count} were asked for.")
    return np.stack([_cut(files[i * len(files) // count], side) for i in range(count)])


def _cut(path: Path, side: int) -> Bytes:
    image = Image.open(path).convert("RGB")
    scale = side * 8 / 7 / min(image.size)
    wide = image.resize((round(image.width * scale), round(image.height * scale)), Image.Resampling.BILINEAR)
    left, top = (wide.width - side) // 2, (wide.height - side) // 2
    return np.asarray(wide.crop((left, top, left + side, top + side)))


def cifar(parquet: Path, count: int) -> tuple[Bytes, npt.NDArray[np.int64]]:
    """Return the first ``count`` images, uint8 (count, 32, 32, 3), and labels of a Parquet file in the hub's layout."""
    import io

    import pyarrow.parquet as pq

    table = pq.read_table(parquet)
    cells, labels = table.column(0).to_pylist()[:count], np.asarray(table.column(1).to_pylist()[:count], np.int64)
    if len(cells) < count:
        raise SystemExit(f"{parquet} holds {len(cells)} images; {count} were asked for.")
    return np.stack([np.asarray(Image.open(io.BytesIO(c["bytes"])).convert("RGB")) for c in cells]), labels


def machine() -> str:
    """Return the processor's name and the versions of what both sides run on, for a table's caption."""
    import os
    import platform
    from importlib.metadata import PackageNotFoundError, version

    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    name = next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), platform.processor())
    listed = [f"Python {platform.python_version()}"]
    for package in PACKAGES:
        try:
            listed.append(f"{package} {version(package)}")
        except PackageNotFoundError:
            continue
    try:
        from wand.version import MAGICK_VERSION
    except ImportError:
        pass
    else:
        listed.append(" ".join(MAGICK_VERSION.split()[:2]))
    return f"{name}, {os.cpu_count()} cores; {', '.join(listed)}"
