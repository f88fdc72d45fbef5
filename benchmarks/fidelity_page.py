"""Writes docs/fidelity.md from the measurements that fidelity.py measured; every number in it is one of those."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from statistics import NormalDist
from typing import Any

from robench.corruptions import ALL
from robench.corruptions.severities import SEVERITIES

Measurement = dict[str, Any]
AIM_PIXELS, AIM_STATISTICS, AIM_ERROR, AIM_WORST = 0.5, 2.0, 0.5, 1.5

HEAD = """\
# Fidelity: robench's corruptions beside the published generators

The generators of hendrycks/robustness (`ImageNet-C/create_c`) and `robench.corruptions` ran side by side on the same
images, theirs with ImageMagick for motion blur and snow and with its own frost images, ours with the same frost
images. Nothing was measured against the published files: no seed of theirs is known, so only the generators can be
compared image by image.

- 32 pixels: test images of CIFAR-10 that are kept as JPEG (quality 75). A model of lossless CIFAR-10 is wrong more
  often on them than on the originals; both sides see the same images.
- 64, 224 and 299 pixels: photographs of ImageNet, reduced and cropped to that size.

This page is written by `benchmarks/fidelity.py` (its head says how) and holds nothing that was not measured there.
"""

PIXELS = """\
## Corruptions without chance: pixel by pixel

Mean and largest difference in grey levels (0 to 255); `=` means equal to the bit. Aim: a mean below 0.5.
"""

WHY_PIXELS = """\
Why they differ at all: the generators work in float64 and cut the result to whole grey levels; ours works in float32
where that is faster, adding a small constant before it cuts. A value that is whole on paper can then fall to either
side, which moves it by one level and no more. `defocus_blur` has most such values, where its disk is small and hardly
smoothed: the weights are then one over a small whole number. The bit-equal ones work on bytes or in float64.
"""

STATISTICS = """\
## Corruptions with chance: statistics

Random numbers differ, so images are compared in distribution: ours less theirs in per cent of theirs, with the half
width of the 95 % interval over images. *Mean* is over all values; *variance* is that within an image and channel;
*power* is that of the ring of spatial frequency, of eight, whose power differs most, with an interval that holds for
all eight at once (Bonferroni). Aim: within 2 %.
"""

WHY_WIDE = """\
Intervals are wide where a blur or a warp leaves next to no power in a ring, so that a few images carry all of it
(`elastic_transform`, `motion_blur`, `snow`), and where maps differ from one drawing to the next (`fog`, `frost`).
`fog` has maps of one distribution at severities 1 and 2 of 224 pixels, so a difference at one of them alone is chance.
"""

ERRORS = """\
## What a classifier makes of them

Error of a ResNet-20 on {images:,} images (clean: {clean:.2f} %) corrupted by ours and by theirs, in per cent, and
ours less theirs in points with the half width of the 95 % interval, paired by image, over the five severities; and the
severity with the largest difference. Aim: within 0.5 points over severities, none over 1.5. One draw's interval is
as wide as chance makes it; those that reached furthest with one draw were drawn four times, on both sides.
"""

SEQUENCES = """\
## Perturbation sequences: frame by frame

The sections of CIFAR-10-P's generator and `robench.corruptions.perturb`, both given the same random numbers. The
noises, which are the corruptions' with other strengths, are left out. Mean and largest difference in grey levels over
all frames.
"""

WHY_SEQUENCES = """\
`tilt` differs because OpenCV has changed since the sequences were published: it then placed pixels in steps of 1/32,
as ours does, and from release 5 on does so in float64 only (`tilt, float64`). The turning ones follow today's
torchvision on both sides; the release of the time turned about a point half a pixel further right and down.
"""

FROST = """\
## Built-in frost textures

Without the original generator's frost images, robench lays textures of its own over images. They are drawn by rule and
then brought to the originals' statistics: histogram, power in octaves and directions of spatial frequency, and local
contrast (`benchmarks/frost.py`). They are not the protocol, and a result that used them says so. Error of a network
under frost with both, in per cent, over the five severities, and the difference in points with the half width of the
95 % interval, paired by image: every image lay under every one of the five frost images of both kinds. Detail of the
textures was then made stronger or weaker until a ResNet-20 and an EfficientNet-Lite0 erred nearly as often, so other
networks show more than these two how near they are, such as the ResNet-56; single textures differ more, in both
directions. Aim: within 0.5 points.
"""
QUIRKS = """\
## What is the same on purpose

- `glass_blur` copies a neighbour where the loop seems to exchange two pixels: both names are views of one array.
- `frost` never draws its sixth image; `elastic_transform` counts in multiples of 244 at 224 pixels.
- Sequences of `spatter` turn black when all water has run off: the original divides by zero there.
- Results are truncated to whole grey levels, not rounded.
- `motion_blur` and `snow` do the arithmetic of ImageMagick without it; a test compares the two where Wand is installed.
- At other sizes the tables of the nearest published size serve; see `robench.corruptions.severities`.

## What is not shown here

- A GPU: the tensor path is compared with the CPU's in the tests, on the CPU.
- The JPEG round trip that `imagenet-c` goes through: the tests compare it with libjpeg.
- Sequences of 64 and 224 pixels, whose generators have the same steps with other numbers.
"""


def page(measurements: Sequence[Measurement]) -> str:
    """Return the document.

    Args:
        measurements: lines of fidelity.py's file; of two for the same measurement the later one counts.
    """
    latest = {(x["part"], x["name"], x["size"], x.get("severity")): x for x in measurements}

    def by_part(part: str) -> list[Measurement]:
        return [x for key, x in latest.items() if key[0] == part]

    parts = [HEAD, _provenance(latest.values())]
    if by_part("pixels"):
        parts += [PIXELS, _pixel_table(by_part("pixels")), _pixel_summary(by_part("pixels")), WHY_PIXELS]
    if by_part("statistics"):
        parts += [STATISTICS, *_statistics(by_part("statistics"))]
    if by_part("sequences"):
        parts += [SEQUENCES, _sequence_table(by_part("sequences")), WHY_SEQUENCES]
    if by_part("errors"):
        shown = by_part("errors")
        parts += [ERRORS.format(images=shown[0]["images"], clean=shown[0]["clean"]), _error_table(shown)]
        parts += [_error_summary(shown)]
    if by_part("frost"):
        parts += [FROST, _frost_table(by_part("frost"))]
    return "\n".join(part.rstrip() + "\n" for part in [*parts, QUIRKS])


def _provenance(measurements: Iterable[Measurement]) -> str:
    seen = sorted({(x["date"], x["machine"]) for x in measurements})
    return "\n".join(f"Measured {date}: {machine}." for date, machine in seen)


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = ["| " + " | ".join(head) + " |", "| --- |" + " ---: |" * (len(head) - 1)]
    return "\n".join([*lines, *("| " + " | ".join(row) + " |" for row in rows)])


def _order(name: str) -> tuple[int, str]:
    return ALL.index(name.split(",")[0]), name


def _grid(measurements: Sequence[Measurement], cell: Callable[[Measurement], str]) -> str:
    """Return a table of corruptions and sizes by severity."""
    found = {(x["name"], x["size"], x["severity"]): x for x in measurements}
    keys = sorted({key[:2] for key in found}, key=lambda key: (_order(key[0]), key[1]))
    rows = []
    for name, size in keys:
        shown = (found.get((name, size, severity)) for severity in SEVERITIES)
        rows.append([f"{name}, {size}", *("" if x is None else cell(x) for x in shown)])
    return _table(["corruption, side", *(f"severity {severity}" for severity in SEVERITIES)], rows)


def _pixel_table(measurements: Sequence[Measurement]) -> str:
    return _grid(measurements, lambda x: "=" if x["max"] == 0 else f"{x['mean']:.4f} / {x['max']}")


def _pixel_summary(measurements: Sequence[Measurement]) -> str:
    equal, worst = sum(x["max"] == 0 for x in measurements), max(measurements, key=lambda x: x["mean"])
    counts = ", ".join(
        f"{max(x['images'] for x in measurements if x['size'] == size)} at {size}"
        for size in sorted({x["size"] for x in measurements})
    )
    over = [x for x in measurements if x["mean"] >= AIM_PIXELS]
    return (
        f"Images: {counts}. {equal} of {len(measurements)} comparisons are equal to the bit. The largest mean "
        f"difference "
        f"is {worst['mean']:.4f} grey levels ({_place(worst)}, {worst['differing']:.1f} % of values), the largest "
        f"single one {max(x['max'] for x in measurements)}. {_missed(over, 'mean')}\n"
    )


def _sequence_table(measurements: Sequence[Measurement]) -> str:
    rows = [
        [x["name"], str(x["images"]), str(x["frames"]), f"{x['mean']:.4f}", str(x["max"]), f"{x['differing']:.3f} %"]
        for x in measurements
    ]
    head = ["perturbation", "images", "frames", "mean difference", "largest", "values that differ"]
    return _table(head, rows) + "\n"


def _statistics(measurements: Sequence[Measurement]) -> Iterable[str]:
    measurements = [{**x, "power": _largest_ring(x["rings"])} for x in measurements]
    for kind in ("mean", "variance", "power"):
        yield f"### {kind.capitalize()}\n"
        yield _grid(measurements, lambda x, kind=kind: f"{x[kind][0]:+.2f} ± {x[kind][1]:.2f}")  # type: ignore[misc]
        yield _statistics_summary(measurements, kind)
    counts = sorted({(x["size"], x["images"], x["draws"], x["name"]) for x in measurements})
    usual = [
        f"{size} pixels: "
        + ", ".join(
            f"{images} images drawn {draws} times ({', '.join(n for s, i, d, n in counts if (s, i, d) == group)})"
            for group in sorted({key[:3] for key in counts if key[0] == size})
            for images, draws in [group[1:]]
        )
        for size in sorted({key[0] for key in counts})
    ]
    yield WHY_WIDE
    yield "Images and drawings. " + ". ".join(usual) + ".\n"


def _largest_ring(rings: Sequence[tuple[float, float]]) -> tuple[float, float]:
    """Return the largest difference, and its interval's half width widened to hold for all rings at once."""
    difference, half = max(rings, key=lambda ring: abs(ring[0]))
    return difference, half * NormalDist().inv_cdf(1 - 0.025 / len(rings)) / NormalDist().inv_cdf(0.975)


def _statistics_summary(measurements: Sequence[Measurement], kind: str) -> str:
    values = [(x, *x[kind]) for x in measurements]
    outside = sum(abs(difference) > half for _, difference, half in values)
    away = [x for x, difference, half in values if abs(difference) - half > AIM_STATISTICS]
    beyond = [x for x, difference, half in values if abs(difference) > AIM_STATISTICS]
    text = f"{outside} of {len(values)} intervals leave out zero; chance alone does it to one in twenty. "
    text += f"Differences larger than 2 %: {len(beyond)}"
    text += f", {_places(beyond, kind)}" if beyond else ""
    text += "; " + (
        f"intervals wholly beyond it: {_places(away, kind)}" if away else "no interval lies wholly beyond it"
    )
    return text + ".\n"


def _error_table(measurements: Sequence[Measurement]) -> str:
    rows = []
    for x in sorted(measurements, key=lambda x: _order(x["name"])):
        ours, theirs = (sum(x[side]) / len(x[side]) for side in ("ours", "theirs"))
        severity, gap, half = _worst_severity(x)
        largest = f"{gap:+.2f} ± {half:.2f} ({severity})" if gap else "none"
        rows.append(
            [
                *(x["name"], f"{theirs:.2f}", f"{ours:.2f}", f"{x['difference']:+.2f} ± {x['half']:.2f}"),
                *(largest, str(x.get("draws", 1))),
            ]
        )
    head = ["corruption", "theirs", "ours", "difference", "largest of a severity", "draws"]
    return _table(head, rows)


def _worst_severity(x: Measurement) -> tuple[int, float, float]:
    gaps = [our - their for our, their in zip(x["ours"], x["theirs"], strict=True)]
    row = max(range(len(gaps)), key=lambda i: abs(gaps[i]))
    return row + 1, gaps[row], x["half_widths"][row]


def _error_summary(measurements: Sequence[Measurement]) -> str:
    mean = sum(x["difference"] for x in measurements) / len(measurements)
    half = math.sqrt(sum(x["half"] ** 2 for x in measurements)) / len(measurements)
    over = [x for x in measurements if abs(x["difference"]) > AIM_ERROR]
    worst = [x for x in measurements if abs(_worst_severity(x)[1]) > AIM_WORST]
    outside = [x for x in measurements if abs(x["difference"]) > x["half"]]

    def names(xs: Sequence[Measurement]) -> str:
        return ", ".join(x["name"] for x in xs) or "none"

    return (
        f"Mean difference over the {len(measurements)} corruptions: {mean:+.2f} ± {half:.2f} points. Beyond 0.5 "
        f"points: "
        f"{names(over)}. A severity beyond 1.5 points: {names(worst)}. Intervals that leave out zero: "
        f"{names(outside)} ({len(outside)} of {sum(x['half'] > 0 for x in measurements)} with a width; one in "
        f"twenty would "
        f"by chance).\n"
    )


def _frost_table(measurements: Sequence[Measurement]) -> str:
    rows = []
    for x in sorted(measurements, key=lambda x: (x["size"], x["name"])):
        gaps = [our - their for our, their in zip(x["ours"], x["theirs"], strict=True)]
        ours, theirs = sum(x["ours"]) / len(gaps), sum(x["theirs"]) / len(gaps)
        what = f"{x['name']}, {x['size']} pixels, {x['images']:,} images"
        by_severity = (f"{gap:+.2f} ± {half:.2f}" for gap, half in zip(gaps, x["half_widths"], strict=True))
        rows.append([what, f"{theirs:.2f}", f"{ours:.2f}", f"{x['difference']:+.2f} ± {x['half']:.2f}", *by_severity])
    head = ["network", "originals", "built-in", "difference", *(f"severity {s}" for s in SEVERITIES)]
    return _table(head, rows) + "\n"


def _place(x: Measurement) -> str:
    return f"{x['name']} {x['severity']} at {x['size']}"


def _places(measurements: Sequence[Measurement], kind: str) -> str:
    return ", ".join(f"{_place(x)} ({x[kind][0]:+.1f} ± {x[kind][1]:.1f})" for x in measurements)


def _missed(measurements: Sequence[Measurement], kind: str) -> str:
    return "All meet the aim." if not measurements else "Beyond the aim: " + ", ".join(map(_place, measurements)) + "."
