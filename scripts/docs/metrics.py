"""A page per metric: what it is, its formula, an example, when it misleads."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from scripts.docs.markdown import Pages, summary, table

ROOT = Path(__file__).resolve().parents[2]
SYMBOLS = (
    "n images; image i has the label y, the predicted class c, its confidence p (the largest probability), and a = 1"
    " where c = y, else 0. An index in brackets counts images from the highest confidence down. B_b: the images of bin"
    " b, with mean confidence conf(b) and accuracy acc(b). K classes with probabilities p_ik. Square brackets: 1 where"
    " true, else 0."
)
EXAMPLE = """\
import numpy as np
import robench

rng = np.random.default_rng(0)
labels = rng.integers(0, 10, 1000)
logits = rng.normal(size=(1000, 10))
logits[np.arange(1000), labels] += 2  # a model that is mostly right
"""


def metrics() -> Pages:
    """One page per metric."""
    from robench.catalogue import METRICS

    words = yaml.safe_load((ROOT / "scripts/docs/metrics.yaml").read_text(encoding="utf-8"))
    found: Pages = {}
    rows = []
    for name in METRICS:
        row = METRICS.get(name)
        found[f"metrics/{name}.md"] = "\n".join(_metric(row, words[described(name, words)]))
        rows.append((f"[`{name}`]({name}.md)", row.title, row.unit, row.better))
    head = (
        "# Metrics\n\nEvery metric is a pure function of stored predictions. Intervals, bins and ties: "
        "[Metrics in depth](../metrics.md).\n\n"
    )
    found["metrics/index.md"] = head + table(("metric", "title", "unit", "better"), rows)
    return found | summary("metrics", METRICS)


def described(name: str, words: Iterable[str]) -> str:
    """Return the entry of scripts/docs/metrics.yaml for a metric: its own, or its family's (``ood_auroc_energy``)."""
    return max((one for one in words if f"{name}_".startswith(f"{one}_")), key=len)


def _metric(row: Any, words: Mapping[str, str]) -> Iterator[str]:
    low, high = row.range
    facts = [
        ("unit", row.unit),
        ("range", f"{low:g} to {high:g}"),
        ("better", row.better),
        ("computed from", ", ".join(f"`{one}`" for one in row.needs)),
        ("least number of images", str(row.minimum_images)),
        ("in results by default", "yes" if row.default else "no"),
        ("source", row.source),
    ]
    yield from (f"# {row.title}", "", f"`{row.name}`", "", _formula(words["formula"]), "")
    yield from (f"<small>{SYMBOLS}</small>", "", table(("", ""), facts), "")
    yield from ("## When it misleads", "", words["misleads"], "")
    if row.notes:
        yield from (f"!!! note\n    {row.notes[0].upper()}{row.notes[1:].rstrip('.')}.", "")
    yield from ("## Example", "", "```sh", _command(row.name), "```", "")
    yield from _from_python(row.name)


def _command(name: str) -> str:
    if name.startswith("ood_"):
        return "robench ood RUN --far RUN_ON_OTHER_IMAGES"
    if name.startswith("conformal_") or name == "size_stratified_coverage":
        return "robench conformal RUN"
    return f"robench metrics RUN --metric {name}"


def _from_python(name: str) -> Iterator[str]:
    """Yield an example with its output, where logits and labels are all that the metric needs."""
    import robench

    names: dict[str, Any] = {}
    exec(EXAMPLE, names)
    try:
        found = robench.api.metrics(logits=names["logits"], labels=names["labels"], metric=name, resamples=1000)
        value = found.metrics[name]
    except (robench.RobenchError, KeyError):
        return
    if value.value is None:
        return
    yield from ("From Python, of any framework's logits:", "", "```python", EXAMPLE.rstrip())
    yield f'found = robench.api.metrics(logits=logits, labels=labels, metric="{name}")'
    interval = "" if value.low is None else f" ({value.low:.4f} to {value.high:.4f})"
    yield from (f'found.metrics["{name}"]  # {value.value:.4f}{interval}', "```", "")


def _formula(latex: str) -> str:
    """Return a formula as MathML, which browsers show and read aloud without a script or a request."""
    from html import escape

    from latex2mathml.converter import convert

    opening = f'<math alttext="{escape(latex)}"'
    return f'<div style="overflow-x: auto">{convert(latex, display="block").replace("<math", opening, 1)}</div>'
