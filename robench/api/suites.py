"""Opening suites: options that a suite does not take are refused, and a model's own geometry is applied."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import TYPE_CHECKING

from robench.api import words as w
from robench.api.options import Place, Places
from robench.api.packing import Sizes
from robench.errors import RobenchError

if TYPE_CHECKING:
    from robench.api.packing import Given
    from robench.data.base import Geometry
    from robench.suites import OpenOptions, OpenSuite


def suite_names(suites: str | Sequence[str]) -> tuple[str, ...]:
    """Return the names in ``"cifar10-c,cifar10-p"`` or a sequence.

    Raises:
        RobenchError: none, or an unknown one.
    """
    from robench.suites import get

    found = w.names("suite", suites)
    for name in found:
        get(name)
    return found


def open_one(suite: str | OpenSuite, data: Place | None, given: Given) -> OpenSuite:
    """Return an open suite.

    Raises:
        RobenchError: no such suite, nothing usable at ``data``, or options that it would not heed.
    """
    if not isinstance(suite, str):
        _refuse_on_open(data, given)
        return suite
    suite, data = _with_folder(suite, data)
    names = suite_names(suite)
    if len(names) != 1:
        raise RobenchError(
            f"One suite at a time; found {', '.join(names)}.", hint="Use `robench.grid(models, suite)` for several."
        )
    refuse_unheeded(names, given.suite)
    return _opened(names[0], None if data is None else w.place("data", data), given.suite)


def _with_folder(suite: str, data: Place | None) -> tuple[str, Place | None]:
    """Take ``ood:FOLDER`` apart.

    Raises:
        RobenchError: no folder after the colon, or ``data`` too.
    """
    name, colon, folder = suite.partition(":")
    if name.strip() != "ood" or not colon:
        return suite, data
    if data is not None:
        raise RobenchError(
            f"'{suite}' names its images itself; `data` would be ignored.", hint="Omit `data`, or set `suite='ood'`."
        )
    if not folder.strip():
        raise RobenchError("'ood:' names no folder.", hint="For example `suite='ood:my-images'`.")
    return name.strip(), folder


def _opened(name: str, data: Path | None, options: OpenOptions) -> OpenSuite:
    from robench.suites import open_suite

    opened = open_suite(name, data, options)
    refuse_on_published(opened)
    return opened


def open_all(suites: str | Sequence[str], data: Places | None, given: Given) -> list[OpenSuite]:
    """Return several open suites.

    Raises:
        RobenchError: as :func:`open_one`, or data for a suite that is not among them.
    """
    names = suite_names(suites)
    refuse_unheeded(names, given.suite)
    places = places_by_suite(data, names)
    return [_opened(name, places.get(name), given.suite) for name in names]


def _refuse_on_open(data: Place | None, given: Given) -> None:
    changed = ["data"] if data is not None else ["resize"] if given.sizes != Sizes() else _changed(given.suite)
    if changed:
        raise RobenchError(
            f"`{_word(changed[0])}` has no effect on a suite that is already open.",
            hint="Give the suite's name instead, or choose it when opening: robench.suites.open_suite.",
        )


def _word(field: str) -> str:
    return {"conditions": "corruption", "severities": "severity", "frost_dir": "frost"}.get(field, field)


def places_by_suite(data: Places | None, suites: Sequence[str]) -> dict[str, Path]:
    """Return the data of every suite that has some.

    Args:
        data: one path for all suites, a mapping from suite to path, or ``SUITE=PATH`` entries.
        suites: names of the suites to be opened.

    Raises:
        RobenchError: data for a suite that is not asked for.
    """
    if data is None:
        return {}
    if isinstance(data, Mapping):
        for name in data:
            if name not in suites:
                raise _not_asked_for(name, suites)
        return {name: w.place("data", path) for name, path in data.items()}
    entries = [str(data)] if isinstance(data, (str, Path)) else [str(entry) for entry in data]
    places: dict[str, Path] = {}
    for entry in entries:
        name, equals, path = entry.partition("=")
        if equals and name in suites:
            places[name] = w.place("data", path)
        elif equals and not w.place("data", entry).exists():
            raise _not_asked_for(name, suites)
        else:
            places |= {suite: w.place("data", entry) for suite in suites if suite not in places}
    return places


def _not_asked_for(name: str, suites: Sequence[str]) -> RobenchError:
    return RobenchError(
        f"`data` names the suite '{name}', which is not evaluated (evaluated: {', '.join(suites)}).",
        hint="Name a suite that is evaluated, or give one path for all of them.",
    )


def refuse_unheeded(names: Sequence[str], options: OpenOptions) -> None:
    """Refuse an option that none of the suites heeds: a result would be taken for what it is not.

    Raises:
        RobenchError: there is one.
    """
    from robench.suites import get
    from robench.suites import names as known

    for field in _changed(options):
        if not any(get(name).takes(field) for name in names):
            heeding = [name for name in known() if get(name).takes(field)]
            more = f" and {len(heeding) - 6} others" if len(heeding) > 7 else ""
            shown = ", ".join(heeding[:6] if more else heeding) + more
            raise RobenchError(
                f"`{_word(field)}` has no effect on {', '.join(names)}; it applies only to {shown}.",
                hint=f"Omit `{_word(field)}`.",
            )


def _changed(options: OpenOptions) -> list[str]:
    """Return the fields that differ from their defaults."""
    return [field.name for field in fields(options) if getattr(options, field.name) != field.default]


_OF_GENERATED = ("seed", "frost_dir")


def refuse_on_published(suite: OpenSuite) -> None:
    """Refuse options of the generation of images where they are published files.

    Raises:
        RobenchError: there is one.
    """
    if suite.source == "published":
        for field in (name for name in _changed(suite.options) if name in _OF_GENERATED):
            raise RobenchError(
                f"`{_word(field)}` has no effect on {suite.suite.name} here: its images are published files.",
                hint=f"Omit `{_word(field)}`, or give the clean images in `data` to generate others.",
            )


def fitted(suite: OpenSuite, own: Geometry | None, sizes: Sizes, num_classes: int | None = None) -> OpenSuite:
    """Return the suite with the chosen resize and crop, the rest of them the model's own, else the protocol's.

    Args:
        suite: the suite, opened.
        own: the model's geometry, or None.
        sizes: what the user chose.
        num_classes: of the model, in which the labels of a clean set may count.
    """
    from robench.suites import fit_to_model

    options = suite.options
    own = None if suite.suite.fixed_geometry else own
    chosen = sizes.over(options.interpolation, options.geometry, own, suite.suite.geometry)
    if chosen is None or chosen == options.geometry:
        return fit_to_model(suite, own, num_classes)
    return fit_to_model(suite.with_options(replace(options, geometry=chosen)), None, num_classes)
