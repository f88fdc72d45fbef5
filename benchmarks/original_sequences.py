"""Runs the published generator of CIFAR-10-P, section by section, on today's packages.

``make_cifar_p.py`` of hendrycks/robustness is one loop in which all but one perturbation are commented out; here each
section is taken out, uncommented in memory and run on an image of ours. Its noises, of which nothing but the strength
is to be compared, are left out; what snow and spatter draw can be given, so that they can be compared pixel by pixel.
"""

from __future__ import annotations

import contextlib
import re
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import numpy.typing as npt
import original
from PIL import Image

SCRIPT = Path("ImageNet-P", "create_p", "make_cifar_p.py")
SECTIONS = {
    "motion_blur": "Motion Blur",
    "zoom_blur": "Zoom Blur",
    "snow": "Snow",
    "brightness": "Brightness",
    "translate": "Translate",
    "rotate": "Rotate",
    "tilt": "Tilt",
    "tilt, float64": "Tilt",
    "scale": "Scale",
    "gaussian_blur": "Gaussian Blur",
    "spatter": "Spatter",
    "shear": "Shear",
}
RENAMED = {**original.RENAMED, "resample=PILImage": "interpolation=PILImage"}
Field = npt.NDArray[np.floating]
Sequence = Callable[[original.Bytes, Field], original.Bytes]


def load(checkout: Path) -> dict[str, Sequence]:
    """Return functions from uint8 (32, 32, 3) and standard normals (32, 32) to frames, uint8 (T, 32, 32, 3).

    Raises:
        SystemExit: the script is not there, or has another form than expected.
    """
    script = checkout / SCRIPT
    if not script.is_file():
        raise SystemExit(f"{script} is missing: {checkout} is no checkout of hendrycks/robustness.")
    text = script.read_text(encoding="utf-8")
    for old, new in RENAMED.items():
        text = text.replace(old, new)
    names: dict[str, Any] = {"__name__": script.stem}
    exec(compile(text.split("\ntest_data =")[0], str(script), "exec"), names)
    # Its torchvision took Pillow's filters; that of today knows its own names for the same.
    names["PILImage"] = _Filters()
    return {
        name: _run({**names, **_changes(name, names)}, _section(text, title), f"{script}: {title}")
        for name, title in SECTIONS.items()
    }


def _changes(name: str, names: dict[str, Any]) -> dict[str, Any]:
    return {"cv2": _Doubles(names["cv2"])} if name.endswith("float64") else {}


class _Doubles:
    """OpenCV that warps in float64, where it places pixels in steps of 1/32, as before release 5 it always did."""

    def __init__(self, module: Any) -> None:
        self.module = module

    def __getattr__(self, name: str) -> Any:
        return getattr(self.module, name)

    def warpPerspective(self, image: original.Bytes, matrix: Field, size: tuple[int, int]) -> Field:
        """Warp and round."""
        return np.clip(np.rint(self.module.warpPerspective(image.astype(np.float64), matrix, size)), 0, 255)


class _Filters:
    """Pillow's module with the filters of today's torchvision."""

    def __init__(self) -> None:
        from torchvision.transforms import InterpolationMode

        self.BILINEAR = InterpolationMode.BILINEAR
        self.fromarray = lambda array, mode=None: Image.fromarray(array)


def _section(text: str, title: str) -> str:
    found = re.search(rf"^    # /+ {title} Code /+$(.*?)^    # /+ End {title} Code /+$", text, re.MULTILINE | re.DOTALL)
    if found is None:
        raise SystemExit(f"{SCRIPT} has no section '{title}'.")
    code = textwrap.dedent(found.group(1))
    return "\n".join(re.sub(r"^# ?", "", line) for line in code.splitlines())


def _run(names: dict[str, Any], section: str, label: str) -> Sequence:
    code = compile(section, label, "exec")

    def frames(image: original.Bytes, normals: Field) -> original.Bytes:
        found: list[Any] = []
        with _given(normals):
            exec(code, {**names, "img": image.copy(), "seq": found})
        return np.asarray(found).astype(np.uint8)

    return frames


@contextlib.contextmanager
def _given(normals: Field) -> Iterator[None]:
    """Let ``np.random.normal`` give these instead of drawing."""

    def normal(loc: float = 0.0, scale: float = 1.0, size: tuple[int, ...] = ()) -> Field:
        return np.asarray(loc + scale * normals.astype(np.float64).reshape(size))

    with mock.patch("numpy.random.normal", normal):
        yield
