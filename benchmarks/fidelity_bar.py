"""How close the corruptions of C-bar are to the published generator's, run side by side on real images.

    python benchmarks/fidelity_bar.py --original CHECKOUT [--photos FOLDER] [--cifar PARQUET] \
        [--photo-count 4] [--cifar-count 64] [--page docs/fidelity.md]

CHECKOUT holds facebookresearch/augmentation-corruption; photos are JPEGs at any depth; PARQUET is CIFAR-10's test split
in the hub's layout. Measured:

* pixels: every corruption and severity of CIFAR-10-C-bar at 32 and of ImageNet-C-bar at 224 pixels, both sides with the
  same draws: mean and largest difference in grey levels, and seconds per image;
* draws: every parameter that the original draws for an image, in 2,000 draws of each side: the largest distance
  between the two distributions and the smallest p-value (Kolmogorov and Smirnov's test for two samples).

--page replaces the last section of the document. NumPy below 2 decides, as when the sets were published, that a float32
image times a float64 number is float32; with a newer one caustic_refraction and pinch_and_twirl differ by a level here
and there. Run it with NumPy 1.26 to compare with what was published.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import original
import torch
from original_bar import Generator, draws
from scipy.stats import ks_2samp

from robench.corruptions import corrupt
from robench.corruptions.severities import SEVERITIES
from robench.corruptions.severities_bar import CIFAR, IMAGENET

PARAMETER_DRAWS = 2000
HEADING = "## ImageNet-C-bar and CIFAR-10-C-bar"

INTRODUCTION = """\
The generator of facebookresearch/augmentation-corruption and robench ran side by side on the same images with the same
draws: what robench draws for an image was handed to the original as its parameters. Mean and largest difference in grey
levels; `=` means equal to the bit. Written by `benchmarks/fidelity_bar.py`.
"""

DRAWS = """\
### What is drawn

{draws:,} draws of the parameters that the original draws for an image, on both sides: the largest distance between the
two distributions of a parameter, and the smallest p-value (Kolmogorov and Smirnov) of the corruption's parameters. Of
{count} parameters one in twenty would be below 0.05 by chance; {below} are, and {corrected} after Bonferroni's
correction. Fields, lines, rays, phases and gradients are uniform or normal numbers on both sides, replayed above.
"""

QUIRKS = """\
### What is the same on purpose

- ImageNet-C-bar's images are stored as JPEG of quality 85, those of CIFAR-10-C-bar as they are.
- `caustic_refraction` multiplies float32 values by 255 in float64 and truncates, which lowers about half of the values
  of an undisturbed image by one level.
- `transverse_chromatic_abberation` blurs even the channel that it does not enlarge: pixels are taken for a spline's
  coefficients.
- The fields of `checkerboard_cutout` on both sides of an axis through the corner share a number, and negative numbers
  count from the end.
- Where one of `perlin_noise`'s 256 gradients is (0, 0), in one image of a thousand, the original divides by zero;
  robench takes the gradient to be 0.
- Names keep the published spelling (`cocentric`, `abberation`).
"""


@dataclass(frozen=True)
class Pixels:
    """The measurement of one corruption at one severity; seconds are per image."""

    name: str
    side: int
    severity: int
    images: int
    mean: float
    largest: int
    theirs: float
    ours: float


@dataclass(frozen=True)
class Parameters:
    """The comparison of a corruption's drawn parameters."""

    name: str
    side: int
    distance: float
    p_values: tuple[float, ...]


def pixels(generator: Generator, name: str, images: npt.NDArray[np.uint8], severity: int) -> Pixels:
    """Compare one corruption at one severity."""
    started = time.perf_counter()
    theirs = generator.images(name, images, severity, 0)
    their_time = time.perf_counter() - started
    batch, index = torch.from_numpy(images).permute(0, 3, 1, 2), torch.arange(len(images))
    corrupt(batch[:1], name, severity, index=index[:1])  # compiled, if need be
    started = time.perf_counter()
    ours = corrupt(batch, name, severity, index=index).permute(0, 2, 3, 1).numpy()
    our_time = time.perf_counter() - started
    gap = np.abs(ours.astype(np.int16) - theirs)
    count = len(images)
    measured = float(gap.mean()), int(gap.max()), their_time / count, our_time / count
    return Pixels(name, generator.side, severity, count, *measured)


def drawn_parameters(generator: Generator, name: str) -> Parameters | None:
    """Compare the parameters that both sides draw; None where there are none."""
    transform = generator.transform(name, 3)
    np.random.seed(0)
    theirs = [transform.sample_parameters() for _ in range(PARAMETER_DRAWS)]
    ours = [draws(name, 3, row, 0, generator.side).parameters for row in range(PARAMETER_DRAWS)]
    if not ours[0]:
        return None
    distances, p_values = [], []
    for key in ours[0]:
        one, other = (_table([sample[key] for sample in side]) for side in (ours, theirs))
        for column in range(one.shape[1]):
            found: Any = ks_2samp(one[:, column], other[:, column])
            distances.append(float(found.statistic))
            p_values.append(float(found.pvalue))
    return Parameters(name, generator.side, max(distances), tuple(p_values))


def _table(values: list[Any]) -> npt.NDArray[np.float64]:
    return np.array([np.ravel(value) for value in values], np.float64)


def section(measured: list[Pixels], parameters: list[Parameters], date: str) -> str:
    """Return the section of the document."""
    parts = [HEADING + "\n", INTRODUCTION, f"Measured {date}: {original.machine()}.\n", _pixel_table(measured)]
    p_values = [p for one in parameters for p in one.p_values]
    below, corrected = sum(p < 0.05 for p in p_values), sum(p < 0.05 / len(p_values) for p in p_values)
    drawn = DRAWS.format(draws=PARAMETER_DRAWS, count=len(p_values), below=below, corrected=corrected)
    return "\n".join([*parts, drawn, _parameter_table(parameters), QUIRKS])


def _pixel_table(measured: list[Pixels]) -> str:
    head = ["corruption, side", *(f"severity {severity}" for severity in SEVERITIES), "theirs, ms/image", "ours"]
    rows = []
    for name, side in dict.fromkeys((one.name, one.side) for one in measured):
        chosen = [one for one in measured if (one.name, one.side) == (name, side)]
        cells = ["=" if one.largest == 0 else f"{one.mean:.5f} / {one.largest}" for one in chosen]
        times = [1000 * sum(getattr(one, who) for one in chosen) / len(chosen) for who in ("theirs", "ours")]
        rows.append([f"{name}, {side}", *cells, f"{times[0]:,.0f}", f"{times[1]:.1f}"])
    equal, worst = sum(one.largest == 0 for one in measured), max(measured, key=lambda one: one.mean)
    counts = ", ".join(f"{n} at {side} pixels" for side, n in dict.fromkeys((one.side, one.images) for one in measured))
    summary = (
        f"Images per severity: {counts}. {equal} of {len(measured)} comparisons are equal to the bit; the largest mean"
        f" difference is {worst.mean:.5f} grey levels, the largest single one {max(x.largest for x in measured)}.\n"
    )
    return "\n".join([_table_of(head, rows), "", summary])


def _parameter_table(parameters: list[Parameters]) -> str:
    head = ["corruption, side", "parameters", "largest distance", "smallest p-value"]
    rows = [
        [f"{one.name}, {one.side}", str(len(one.p_values)), f"{one.distance:.3f}", f"{min(one.p_values):.3f}"]
        for one in parameters
    ]
    return _table_of(head, rows) + "\n"


def _table_of(head: list[str], rows: list[list[str]]) -> str:
    lines = ["| " + " | ".join(head) + " |", "| --- |" + " ---: |" * (len(head) - 1)]
    return "\n".join([*lines, *("| " + " | ".join(row) + " |" for row in rows)])


def sides(args: argparse.Namespace) -> Iterator[tuple[int, list[str], npt.NDArray[np.uint8]]]:
    """Yield each size with its corruptions and images."""
    if args.cifar:
        yield 32, list(CIFAR), original.cifar(args.cifar, args.cifar_count)[0]
    if args.photos:
        yield 224, list(IMAGENET), original.photos(args.photos, args.photo_count)


def main() -> None:
    """Measure, and write the section."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--original", type=Path, required=True)
    for name in ("photos", "cifar", "page"):
        parser.add_argument(f"--{name}", type=Path)
    parser.add_argument("--photo-count", type=int, default=4)
    parser.add_argument("--cifar-count", type=int, default=64)
    args = parser.parse_args()
    measured, parameters = [], []
    for side, names, images in sides(args):
        generator = Generator(args.original, side)
        for name in names:
            for severity in SEVERITIES:
                measured.append(pixels(generator, name, images, severity))
                print(measured[-1], flush=True)
            if (found := drawn_parameters(generator, name)) is not None:
                parameters.append(found)
    text = section(measured, parameters, datetime.now(UTC).strftime("%Y-%m-%d"))
    print(text)
    if args.page:
        before = args.page.read_text(encoding="utf-8").partition(HEADING)[0].rstrip()
        args.page.write_text(f"{before}\n\n{text}", encoding="utf-8")


if __name__ == "__main__":
    main()
