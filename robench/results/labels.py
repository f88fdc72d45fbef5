"""How figures are called and shown: title, unit, factor and decimals of every metric and summary, models' names."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from robench.results.schema import Result, Value


class Label(NamedTuple):
    """A metric in words.

    Attributes:
        title: lower case, as it stands in the middle of a sentence.
        unit: ``%``, ``nats``, or a range such as ``0 to 2`` where the figure has no unit.
        factor: what a stored figure is multiplied by before it is shown.
        digits: decimals that are shown.
        lower_is_better: None where neither end is good (a signed gap).
    """

    title: str
    unit: str = "%"
    factor: float = 100.0
    digits: int = 2
    lower_is_better: bool | None = True

    @property
    def axis(self) -> str:
        """The metric and its unit, as an axis or a table head says it."""
        return f"{self.title} ({self.unit})" if " to " in self.unit else f"{self.title}, {self.unit}"

    def show(self, value: float, *, sign: bool = False, unit: bool = False) -> str:
        """Return a stored figure as text: ``12.34``, ``+12.34`` or ``12.34 %``."""
        text = f"{self.factor * value:{'+' if sign else ''}.{self.digits}f}"
        return f"{text} {self.unit}" if unit and self.unit in ("%", "nats", "points") else text


_METRICS = {
    "error": Label("error"),
    "top5_error": Label("top-5 error"),
    "accuracy": Label("accuracy", lower_is_better=False),
    "rms_calibration_error": Label("RMS calibration error"),
    "rms_calibration_error_all_bins": Label("RMS calibration error, all bins"),
    "ece": Label("expected calibration error"),
    "max_calibration_error": Label("maximum calibration error"),
    "adaptive_ece": Label("adaptive calibration error"),
    "debiased_ece": Label("debiased calibration error"),
    "sweep_ece": Label("sweep calibration error"),
    "classwise_ece": Label("class-wise calibration error"),
    "overconfidence_gap": Label("overconfidence", lower_is_better=None),
    "brier": Label("Brier score", "0 to 2", 1.0, 3),
    "brier_top_label": Label("Brier score of the top label", "0 to 1", 1.0, 3),
    "nll": Label("negative log-likelihood", "nats", 1.0, 3),
    "entropy": Label("entropy", "nats", 1.0, 3, None),
    "aurc": Label("area under the risk-coverage curve"),
    "aurra": Label("area under the response-rate accuracy curve", lower_is_better=False),
    "soft_f1": Label("soft F1 of finding one's own errors", lower_is_better=False),
    "worst_case_error": Label("worst-case error"),
    "average_case_error": Label("average-case error"),
    "flip_probability": Label("flip probability"),
    "top5_distance": Label("top-5 distance", "mean steps", 1.0, 3),
    "weighted_pr_auc": Label("mean average precision", lower_is_better=False),
}

_SUMMARIES = {
    "mean_error": Label("mean corruption error"),
    "mean_error_19": Label("mean error over 19 corruptions"),
    "mce": Label("mean corruption error against the suite's baseline (mCE)"),
    "relative_mce": Label("relative mean corruption error (relative mCE)"),
    "robust_accuracy": Label("robust accuracy", lower_is_better=False),
    "mfp": Label("mean flip probability"),
    "mfr": Label("mean flip rate against AlexNet (mFR)"),
    "mt5d": Label("mean top-5 distance", "mean steps", 1.0, 3),
    "gap_error": Label("gap in error to the matching clean images", "points"),
}

_PREFIXES = {
    "clean_": "clean {}",
    "mean_ood_": "{} out of distribution",
    "iid_": "{} in distribution",
    "gap_": "gap in {}",
    "mean_error_": "mean error under {} corruptions",
    "mean_": "{} under corruption",
}


def label(name: str) -> Label:
    """Return the label of a metric or a summary figure; an unknown name is shown as it is, undivided by 100."""
    if name in _SUMMARIES or name in _METRICS:
        return (_SUMMARIES | _METRICS)[name]
    for prefix, pattern in _PREFIXES.items():
        rest = name.removeprefix(prefix)
        if rest == name:
            continue
        if prefix == "mean_error_":
            return Label(pattern.format(rest))
        if rest in _METRICS:
            return _METRICS[rest]._replace(title=pattern.format(_METRICS[rest].title))
    return Label(name.replace("_", " "), "as stored", 1.0, 4, None)


def words(name: str) -> str:
    """Return a condition's name in words: ``gaussian_noise`` becomes ``Gaussian noise``."""
    text = name.replace("_", " ")
    return {"jpeg compression": "JPEG compression"}.get(text, sentence(text))


def sentence(text: str) -> str:
    """Return the text with a capital at its beginning, the rest as it is."""
    return f"{text[:1].upper()}{text[1:]}"


def show(figure: Value | None, name: str, *, interval: bool = False) -> str:
    """Return a figure as tables show it: ``12.34``, or ``12.34 (11.80 to 12.91)``; a dash where there is none."""
    if figure is None or figure.value is None:
        return "–"
    text = label(name).show(figure.value)
    if interval and figure.low is not None and figure.high is not None:
        text += f" ({label(name).show(figure.low)} to {label(name).show(figure.high)})"
    return text


def model_names(results: Sequence[Result]) -> list[str]:
    """Return a name for every result that tells it from the others.

    Equal names are followed by the first characters of the weights' hash, and, where that is equal too (the same
    model twice), by a number.
    """
    names = [result.model.name for result in results]
    counts = Counter(names)
    names = [
        f"{name} ({result.model.hash.removeprefix('sha256:')[:8]})" if counts[name] > 1 else name
        for name, result in zip(names, results, strict=True)
    ]
    counts, seen = Counter(names), Counter[str]()
    for i, name in enumerate(names):
        if counts[name] > 1:
            seen[name] += 1
            names[i] = f"{name} {seen[name]}"
    return names


def unlike(results: Sequence[Result]) -> list[str]:
    """Return in what these results' cells and images differ, so that their means are not of the same; none: alike.

    A model's own resize and crop (``geometry``) is its preprocessing, not another protocol. Of whole suites some may
    have held-out corruptions or clean images beside the cells that the means are over.
    """
    cells = {None if r.suite.complete else frozenset(cell.name for cell in r.cells) for r in results}
    protocols = [result.suite.protocol for result in results]
    names = sorted({name for protocol in protocols for name in protocol} - {"geometry"})
    values = {name: [p.get(name) for p in protocols if name in p or name != "clean"] for name in names}
    differing = [name for name, found in values.items() if any(one != found[0] for one in found)]
    return [*(["cells"] if len(cells) > 1 else []), *differing]


def markdown(text: str) -> str:
    """Return text for a line or a cell of Markdown: names come from strangers' files and must stay as they are."""
    return re.sub(r"([\\`*\[\]<>|]|(?<![^\W_])_|_(?![^\W_]))", r"\\\1", text)


def shorten(name: str, width: int) -> str:
    """Cut the middle out of a name that is longer than ``width`` characters."""
    if len(name) <= width:
        return name
    head = width // 2
    return f"{name[:head]}…{name[len(name) - (width - 1 - head) :]}"
