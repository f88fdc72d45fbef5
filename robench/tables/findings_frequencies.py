"""Whether sensitivity to frequencies (Yin et al. 2019) says what corruptions cost a model, over the models of a set."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from robench.catalogue import row
from robench.errors import RobenchError
from robench.files import read_document
from robench.results.schema import Result
from robench.suites.protocols import CORRUPTION_GROUPS
from robench.tables.findings_kept import Frequencies

BANDS = ("low", "middle", "high")
GROUPS = tuple(name for name, _ in CORRUPTION_GROUPS)
ABOUT = (
    "Errors under perturbations of one frequency each (Fourier map, Yin et al. 2019), as the mean over three bands of"
    " frequencies: up to a third of the highest one along an axis, up to two thirds, and above, in points added to the"
    " clean error. Beside them, the error on images of which a low-pass filter leaves the 8 by 8 or 16 by 16 lowest"
    " frequencies."
)
_ABOUT_RELATION = (
    "Does it say what corruptions cost? Spearman's rank correlation over these models, with its p value, between the"
    " points that a band adds and those that a group of corruptions adds (mean error of the group minus clean error)."
    " Near 1: models that one adds few errors to are those that the other adds few to. Methods are no random sample of"
    " models: the p values say how easily so many models come to such an order by chance, not how others would behave,"
    " and of twelve correlations without any relation one in two tables has one below 0.05. Several predictions of one"
    " network count as models, further seeds do not."
)
_LOWPASS = ("8", "16")
_FEWEST = 5  # models of a rank correlation that is shown


def band_means(error: Sequence[Sequence[float]]) -> dict[str, float]:
    """Return the mean of a Fourier map over each band of frequencies.

    Args:
        error: of shape (n, n), frequency 0 at index n // 2, of all frequencies of images of n pixels.

    >>> band_means([[0.5] * 8] * 8)
    {'low': 0.5, 'middle': 0.5, 'high': 0.5}
    """
    values = np.asarray(error, dtype=np.float64)
    along = np.arange(len(values)) - len(values) // 2
    radius = np.hypot(along[:, None], along[None, :]) / (len(values) / 2)
    number = np.digitize(radius, [1 / 3, 2 / 3], right=True)
    return {name: float(values[number == i].mean()) for i, name in enumerate(BANDS)}


def frequencies(folder: Path) -> dict[str, Frequencies]:
    """Return what the Fourier maps and low-pass curves of a set's models say.

    Args:
        folder: of ``robench train --all``; it reads ``fourier/MODEL.json`` and ``lowpass/MODEL.json`` in ``analyses``.
            Maps of the lowest frequencies alone, and those that were stopped, are left out.

    Raises:
        RobenchError: a damaged document.
    """
    found = {}
    for path in sorted((folder / "analyses" / "fourier").glob("*.json")):
        document = read_document(path, "Fourier map")
        curve = folder / "analyses" / "lowpass" / path.name
        if document.get("kind") != "robench-fourier":
            continue  # the state of a map that was stopped
        try:
            if document["options"].get("window") is None:
                left = _curve(read_document(curve, "low-pass curve")) if curve.is_file() else {}
                found[path.stem] = Frequencies(float(document["clean_error"]), band_means(document["error"]), left)
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise RobenchError(
                f"{path}, or the low-pass curve of its model, is not complete: {error}.",
                hint="Write both again with `robench fourier`.",
            ) from error
    return found


def _curve(document: Mapping[str, Any]) -> dict[str, float]:
    return {str(width): float(error) for width, error in zip(document["bandwidths"], document["error"], strict=True)}


def added_by_groups(results: Iterable[Result], suite: str = "cifar10-c") -> dict[str, dict[str, float]]:
    """Return for every model, and seed, the error that each group of corruptions adds to the clean one, a fraction."""
    found: dict[str, dict[str, float]] = {}
    for result in results:
        values = {name: value.value for name, value in result.summary.items()}
        clean, groups = values.get("clean_error"), [values.get(f"mean_error_{group}") for group in GROUPS]
        if result.suite.name == suite and clean is not None:
            known = {group: one - clean for group, one in zip(GROUPS, groups, strict=True) if one is not None}
            found[result.model.name] = known if len(known) == len(GROUPS) else {}
    return found


def frequencies_table(models: Mapping[str, Frequencies]) -> str:
    """Return a Markdown table of what bands of frequencies add and low-pass filters leave.

    The models to which high frequencies add least come first.
    """
    shown = [width for width in _LOWPASS if any(width in one.lowpass for one in models.values())]
    heads = [row("clean_error").head, *(f"{band}, points" for band in BANDS)]
    heads += [f"{width} by {width} left, %" for width in shown]
    lines = ["| model | " + " | ".join(heads) + " |", "| --- |" + " ---: |" * len(heads)]
    show = row("error").show
    for model, one in sorted(models.items(), key=lambda item: item[1].bands["high"] - item[1].clean):
        added = [one.bands[band] - one.clean for band in BANDS]
        left = [one.lowpass.get(width) for width in shown]
        cells = [show(one.clean), *map(_signed, added), *("–" if error is None else show(error) for error in left)]
        lines.append(f"| {model} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _signed(fraction: float) -> str:
    return row("error").show(fraction, sign=True)


def relation(models: Mapping[str, Frequencies], added: Mapping[str, Mapping[str, float]]) -> str:
    """Return a Markdown paragraph and table of rank correlations between bands and groups; "" of too few models.

    Args:
        models: what the maps say.
        added: as :func:`added_by_groups` returns it; models without values, and further seeds, are left out.
    """
    from scipy.stats import spearmanr

    both = [name for name in models if added.get(name) and "-seed" not in name]
    if len(both) < _FEWEST:
        return ""
    lines = ["| points added, by | " + " | ".join(GROUPS) + " |", "| --- |" + " ---: |" * len(GROUPS)]
    for band in BANDS:
        own = [models[name].bands[band] - models[name].clean for name in both]
        found = [spearmanr(own, [added[name][group] for name in both]) for group in GROUPS]
        cells = [f"{one.statistic:+.2f} ({_p_value(float(one.pvalue))})" for one in found]
        lines.append(f"| {band} frequencies | " + " | ".join(cells) + " |")
    return f"{_ABOUT_RELATION}\n\n" + "\n".join(lines) + f"\n\n{len(both)} models."


def _p_value(value: float) -> str:
    return "p < 0.001" if value < 0.001 else f"p = {value:.3f}"
