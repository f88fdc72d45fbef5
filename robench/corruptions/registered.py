"""Every corruption in one open table: its function, its strengths, and what it draws. Nothing heavy is imported.

A corruption is added by one call, from anywhere::

    register("vignette", vignette, (0.2, 0.4, 0.6, 0.8, 1.0))

or by an installed package through the entry-point group ``robench.corruptions``, whose entries are
:class:`Corruption` objects. No suite changes by it: the conditions of a suite stand in the suite's own row.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any, cast

from robench.corruptions.severities import ELASTIC_UNIT, SEVERITIES, SIZES, TABLES
from robench.corruptions.severities_bar import strengths_by_side
from robench.errors import RobenchError
from robench.registry import Registry

Function = Callable[..., Any]
Strengths = Sequence[Any]
_NAME = re.compile(r"[a-z][a-z0-9_]*")


@dataclass(frozen=True)
class Corruption:
    """One corruption.

    Args:
        function: ``function(images, parameters, stream, **options) -> images``, or where to find it
            (``"package.module:attribute"``). ``images`` are uint8 (N, 3, H, W) and must not be changed,
            ``parameters`` is a tuple of one severity's strengths, and ``stream`` a
            :class:`robench.corruptions.random.Stream`, the only source of random numbers.
        strengths: for severities 1 to 5, a number or a tuple each; or such five for each of the sides 32, 64, 224 and
            299, of which an image takes the nearest (see :mod:`robench.corruptions.severities`).
        deterministic: whether the stream is left alone, so that seed and index change nothing.
        options: names of the keyword arguments of :func:`robench.corruptions.corrupt` that the function takes.

    Raises:
        RobenchError: not five strengths, or strengths for other sides.
    """

    function: Function | str
    strengths: Strengths | Mapping[int, Strengths]
    deterministic: bool = False
    options: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        tables = self.strengths
        if isinstance(tables, Mapping) and sorted(tables) != sorted(SIZES):
            raise RobenchError(
                f"Strengths by side need the sides {', '.join(map(str, SIZES))}; found {', '.join(map(str, tables))}.",
                hint="Give five strengths alone where they serve every side.",
            )
        for row in tables.values() if isinstance(tables, Mapping) else [tables]:
            if isinstance(row, str) or not isinstance(row, Sequence) or len(row) != len(SEVERITIES):
                raise RobenchError(
                    f"A corruption has {len(SEVERITIES)} strengths; found {row!r}.",
                    hint="Give a number or a tuple for each of the severities 1 to 5.",
                )

    def load(self) -> Function:
        """Return the function, imported where need be."""
        if not isinstance(self.function, str):
            return self.function
        module, _, attribute = self.function.partition(":")
        return cast(Function, getattr(import_module(module), attribute))

    def parameters(self, severity: int, size: int) -> tuple[Any, ...]:
        """Return a severity's strengths as a tuple, lengths in pixels.

        Args:
            severity: 1 to 5.
            size: 32, 64, 224 or 299, from :func:`robench.corruptions.severities.table_size`.
        """
        table = self.strengths[size] if isinstance(self.strengths, Mapping) else self.strengths
        row = table[severity - 1]
        return row if isinstance(row, tuple) else (row,)


def _built_in(name: str, home: str, *, deterministic: bool = False, options: tuple[str, ...] = ()) -> Corruption:
    return Corruption(
        f"robench.corruptions.{home}:{name}", {size: TABLES[size][name] for size in SIZES}, deterministic, options
    )


def _elastic_transform() -> Corruption:
    """Published in multiples of a side that is not always the images' own."""
    strengths = {
        size: tuple(tuple(value * ELASTIC_UNIT[size] for value in row) for row in TABLES[size]["elastic_transform"])
        for size in SIZES
    }
    return Corruption("robench.corruptions.elastic:elastic_transform", strengths)


def _bar(name: str, home: str, *, deterministic: bool = False) -> Corruption:
    """One of the corruptions of ImageNet-C-bar and CIFAR-10-C-bar."""
    return Corruption(f"robench.corruptions.{home}:{name}", strengths_by_side(name), deterministic)


CORRUPTIONS: Registry[Corruption] = Registry(
    "corruption",
    {
        "gaussian_noise": _built_in("gaussian_noise", "noise"),
        "shot_noise": _built_in("shot_noise", "noise"),
        "impulse_noise": _built_in("impulse_noise", "noise"),
        "speckle_noise": _built_in("speckle_noise", "noise"),
        "gaussian_blur": _built_in("gaussian_blur", "blur", deterministic=True),
        "defocus_blur": _built_in("defocus_blur", "blur", deterministic=True),
        "motion_blur": _built_in("motion_blur", "blur"),
        "glass_blur": _built_in("glass_blur", "glass"),
        "zoom_blur": _built_in("zoom_blur", "zoom", deterministic=True),
        "snow": _built_in("snow", "weather"),
        "frost": _built_in("frost", "weather", options=("frost",)),
        "fog": _built_in("fog", "weather"),
        "spatter": _built_in("spatter", "spatter"),
        "brightness": _built_in("brightness", "colour", deterministic=True),
        "saturate": _built_in("saturate", "colour", deterministic=True),
        "contrast": _built_in("contrast", "colour", deterministic=True),
        "elastic_transform": _elastic_transform(),
        "pixelate": _built_in("pixelate", "pixelate", deterministic=True),
        "jpeg_compression": _built_in("jpeg_compression", "jpeg", deterministic=True),
        "blue_noise_sample": _bar("blue_noise_sample", "spectra"),
        "brownish_noise": _bar("brownish_noise", "spectra"),
        "caustic_refraction": _bar("caustic_refraction", "lenses"),
        "checkerboard_cutout": _bar("checkerboard_cutout", "cutout"),
        "circular_motion_blur": _bar("circular_motion_blur", "cubic", deterministic=True),
        "cocentric_sine_waves": _bar("cocentric_sine_waves", "waves"),
        "inverse_sparkles": _bar("inverse_sparkles", "sparkles"),
        "lines": _bar("lines", "cutout"),
        "perlin_noise": _bar("perlin_noise", "perlin"),
        "pinch_and_twirl": _bar("pinch_and_twirl", "lenses"),
        "plasma_noise": _bar("plasma_noise", "waves"),
        "ripple": _bar("ripple", "lenses"),
        "single_frequency_greyscale": _bar("single_frequency_greyscale", "waves"),
        "sparkles": _bar("sparkles", "sparkles"),
        "transverse_chromatic_abberation": _bar("transverse_chromatic_abberation", "cubic"),
    },
    group="robench.corruptions",
)


def register(
    name: str, function: Function, strengths: Strengths | Mapping[int, Strengths], *, deterministic: bool = False
) -> None:
    """Add a corruption to the table; see :class:`Corruption` for the arguments.

    Raises:
        RobenchError: the name is taken or not in snake_case, or the strengths are not five.
    """
    if not _NAME.fullmatch(name):
        raise RobenchError(
            f"{name!r} cannot name a corruption.",
            hint="Names are in snake_case, as folders and cells are called after them: 'motion_blur'.",
        )
    CORRUPTIONS.register(name, Corruption(function, strengths, deterministic))


def corruption(name: str) -> Corruption:
    """Return one corruption of the table.

    Raises:
        RobenchError: unknown name (the message suggests the nearest ones), or a package's entry that is not a
            :class:`Corruption`.
    """
    found = CORRUPTIONS.get(name)
    if not isinstance(found, Corruption):
        raise RobenchError(
            f"The corruption '{name}' comes from a package that gives a {type(found).__name__} instead of a"
            " robench.corruptions.Corruption.",
            hint="Update or uninstall the package.",
        )
    return found


def parameters(name: str, severity: int, size: int) -> tuple[Any, ...]:
    """Return a corruption's strengths at one severity as a tuple, lengths in pixels.

    Args:
        name: a corruption.
        severity: 1 to 5.
        size: 32, 64, 224 or 299, from :func:`robench.corruptions.severities.table_size`.

    Raises:
        RobenchError: no such corruption or severity.

    >>> parameters("frost", 3, 224)
    (0.7, 0.7)
    """
    found = corruption(name)
    if severity not in SEVERITIES:
        raise RobenchError(f"Severity {severity} of {name} does not exist.", hint="Severities are 1, 2, 3, 4 and 5.")
    return found.parameters(severity, size)
