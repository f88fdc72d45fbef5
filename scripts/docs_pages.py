"""The generated pages of the documentation site: suites, metrics, corruptions, methods, commands, the Python reference.

mkdocs runs this file (see mkdocs.yml). Everything is read from the tables that the package itself reads, so a new row
has its page; what a table does not hold (a metric's formula) stands in scripts/docs/.
"""

from __future__ import annotations

import io
import re
import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

Pages = dict[str, str | bytes]

API = (
    (
        "robench",
        "Functions at the top",
        ("evaluate", "plan", "compare", "calibrate", "fourier", "grid", "report", "train", "load"),
    ),
    ("robench.api.options", "Options", ()),
    ("robench.metrics", "Metrics of arrays", None),
    ("robench.corruptions", "Corruptions", ("corrupt", "perturb", "register", "Corruption")),
    ("robench.catalogue", "The catalogue of metrics", ("METRICS", "Metric", "Summary", "row", "metric", "headlines")),
    ("robench.suites.base", "Suites", ("Suite", "Cell", "OpenOptions", "Batch")),
    ("robench.predictions", "Predictions", ("Predictions", "RunFolder")),
    ("robench.results.schema", "Results", ("Result", "CellResult", "Value")),
    ("robench.plots", "Plots", None),
    ("robench.registry", "Registries and plugins", ("Registry",)),
)


def pages() -> Pages:
    """Return every generated page by its path below the site's root."""
    found: Pages = {}
    for make in (suites, metrics, corruptions, methods, commands, api):
        found |= make()
    return found


def suites() -> Pages:
    """One page per suite."""
    from robench.suites.definitions import SUITES

    published = _published_tables()
    found: Pages = {}
    rows = []
    for name in SUITES:
        suite = SUITES.get(name)
        found[f"suites/{name}.md"] = _suite(suite, published)
        rows.append((f"[{name}]({name}.md)", suite.title, str(len(suite.cells)), " or ".join(suite.sources)))
    head = "# Suites\n\nA suite is a named protocol: what is measured, on which images, and how it is summed up.\n\n"
    found["suites/index.md"] = head + _table(("suite", "what it measures", "cells", "images"), rows)
    return found | _summary("suites", SUITES)


def _suite(suite: Any, published: Mapping[str, list[str]]) -> str:
    data = _data_row(suite.name)
    facts = [
        ("measures", suite.title),
        ("classes", str(suite.num_classes or "those of the data")),
        ("cells", f"{len(suite.cells)}: {', '.join(f'`{one}`' for one in suite.conditions)}"),
        ("severities", ", ".join(map(str, suite.severities)) or "none"),
        ("images per cell", f"{suite.images:,}" if suite.images else "differ"),
        ("headline value", f"`{suite.headline}`"),
        ("normalised by", suite.normaliser or "nothing"),
        ("images", " or ".join(suite.sources)),
        ("size of the download", _size(data)),
        ("licence", suite.licence or (data or {}).get("licence", "see the source")),
        ("source", f"<{suite.url}>" if suite.url else "comes with robench"),
        ("paper", suite.paper or "none"),
    ]
    where = "" if suite.embedded else " --data DIR"
    lines = [f"# {suite.name}", "", _table(("", ""), facts), "", "## Commands", "", "```sh"]
    lines += [f"robench suites show {suite.name}"]
    if data is not None:
        lines += [f"robench data download {suite.name}"]
    lines += [f"robench evaluate --model MODEL --suite {suite.name}{where}"]
    if "generated" in suite.sources and suite.layout is not None and not suite.embedded:
        lines += [f"robench data generate --suite {suite.name} --source CLEAN --out DIR"]
    lines += ["```", ""]
    if suite.notes:
        lines += ["## What to look out for", "", suite.notes, ""]
    if tables := published.get(suite.name):
        lines += ["## Published results that ship with robench", "", *[f"- `{one}`" for one in tables], ""]
    return "\n".join(lines)


def _data_row(name: str) -> dict[str, Any] | None:
    rows = yaml.safe_load((ROOT / "robench/data/catalogue.yaml").read_text(encoding="utf-8"))
    return next((row for row in rows if row["name"] == name), None)


def _size(row: Mapping[str, Any] | None) -> str:
    sizes = [file.get("size") for file in (row or {}).get("files", [])]
    if row is None:
        return "no download"
    return "not known" if None in sizes or not sizes else f"{sum(sizes) / 1e9:.2f} GB"


def _published_tables() -> dict[str, list[str]]:
    from robench.tables.published import addresses, load_table

    found: dict[str, list[str]] = {}
    for address in addresses():
        table = load_table(address)
        cells = ((i, column) for i in range(len(table.rows)) for column in table.columns)
        named = {suite for i, column in cells if (suite := table.meaning(i, column).suite)}
        for suite in sorted(named):
            found.setdefault(suite, []).append(f"robench table {address}")
    return found


def metrics() -> Pages:
    """One page per metric: what it is, its formula, an example, when it misleads."""
    from robench.catalogue import METRICS

    words = yaml.safe_load((ROOT / "scripts/docs/metrics.yaml").read_text(encoding="utf-8"))
    found: Pages = {}
    rows = []
    for name in METRICS:
        row = METRICS.get(name)
        found[f"metrics/{name}.md"] = _metric(row, words[described(name, words)])
        rows.append((f"[`{name}`]({name}.md)", row.title, row.unit, row.better))
    head = (
        "# Metrics\n\nEvery metric is a pure function of stored predictions. Intervals, bins and ties: "
        "[Metrics in depth](../metrics.md).\n\n"
    )
    found["metrics/index.md"] = head + _table(("metric", "title", "unit", "better"), rows)
    return found | _summary("metrics", METRICS)


def described(name: str, words: Iterable[str]) -> str:
    """Return the entry of scripts/docs/metrics.yaml for a metric: its own, or its family's (``ood_auroc_energy``)."""
    return max((one for one in words if f"{name}_".startswith(f"{one}_")), key=len)


def _metric(row: Any, words: Mapping[str, str]) -> str:
    low, high = row.range
    facts = [
        ("unit", row.unit),
        ("range", f"{low:g} to {high:g}"),
        ("better", row.better),
        ("computed from", ", ".join(f"`{one}`" for one in row.needs)),
        ("least number of images", str(row.minimum_images)),
        ("in results by default", "yes" if row.default else "no: `--metric` computes it"),
        ("source", row.source),
    ]
    lines = [f"# {row.title}", "", f"`{row.name}`", "", _formula(words["formula"]), "", _table(("", ""), facts), ""]
    lines += ["## When it misleads", "", words["misleads"], ""]
    if row.notes:
        lines += [f"!!! note\n    {row.notes}", ""]
    lines += ["## Example", "", "```sh", f"robench metrics RUN --metric {row.name}", "```", ""]
    return "\n".join(lines)


def corruptions() -> Pages:
    """One page per corruption, with a photograph at the five severities."""
    import numpy as np
    import torch
    from PIL import Image
    from sklearn.datasets import load_sample_image

    from robench.corruptions import ALL, BENCHMARK, corrupt, corruption
    from robench.corruptions.severities_bar import BAR

    photograph = load_sample_image("flower.jpg")[40:424, 128:512]
    small = np.asarray(Image.fromarray(photograph).resize((224, 224), Image.Resampling.BILINEAR))
    image = torch.from_numpy(small.copy()).permute(2, 0, 1)[None]
    found: Pages = {}
    rows = []
    for name in (*ALL, *sorted(BAR)):
        kind = "benchmark" if name in BENCHMARK else "C-bar" if name in BAR else "held out"
        strip = [small]
        for severity in range(1, 6):
            made = corrupt(image, name, severity, index=torch.tensor([0]))
            strip.append(made[0].permute(1, 2, 0).numpy())
        buffer = io.BytesIO()
        Image.fromarray(np.concatenate(strip, axis=1)).save(buffer, "JPEG", quality=88)
        found[f"corruptions/{name}.jpg"] = buffer.getvalue()
        found[f"corruptions/{name}.md"] = _corruption(name, corruption(name), kind)
        rows.append((f"[{name}]({name}.md)", kind, f"![{name}]({name}.jpg)"))
    head = (
        "# Corruptions\n\nThe fifteen corruptions of the benchmark, the four held-out ones, and the fifteen of"
        " ImageNet-C-bar and CIFAR-10-C-bar, on a photograph of 224 pixels (scikit-learn's sample image): clean, then"
        " severities 1 to 5.\n\n"
    )
    found["corruptions/index.md"] = head + _table(("corruption", "", "clean, severities 1 to 5"), rows)
    return found | _summary("corruptions", (*ALL, *sorted(BAR)))


_KINDS = {
    "benchmark": "One of the 15 corruptions of the benchmark.",
    "held out": "Held out: in no headline value.",
    "C-bar": "One of the corruptions of ImageNet-C-bar or CIFAR-10-C-bar; no other suite measures it.",
}


def _corruption(name: str, row: Any, kind: str) -> str:
    function = row.load()
    doc = _first_paragraph(function.__doc__)
    strengths = [
        (f"{size} pixels", *(_numbers(row.parameters(severity, size)) for severity in range(1, 6)))
        for size in (32, 64, 224, 299)
    ]
    lines = [f"# {name}", "", f"![{name} at severities 1 to 5]({name}.jpg)", "", doc, ""]
    lines += [_KINDS[kind], ""]
    lines += [
        "Depends on no random numbers."
        if row.deterministic
        else "Random: the same for the same seed, severity and index.",
        "",
    ]
    lines += ["## Strengths", "", _table(("side", *map(str, range(1, 6))), strengths), ""]
    lines += ["## From Python", "", "```python", "from robench.corruptions import corrupt", ""]
    lines += [f'corrupt(images, "{name}", 3)  # uint8 tensor (N, 3, H, W)', "```", ""]
    lines += ["How near it is to the published generator: [Fidelity](../fidelity.md).", ""]
    return "\n".join(lines)


def _numbers(values: Iterable[Any]) -> str:
    return ", ".join(f"{one:.4g}" if isinstance(one, (int, float)) else str(one) for one in values)


def methods() -> Pages:
    """One page per training method: what it does, its options, its recipes."""
    from robench.training import methods as room
    from robench.training import recipes

    by_method: dict[str, list[str]] = {}
    for name in recipes.names():
        by_method.setdefault(recipes.read(name)["method"], []).append(name)
    found: Pages = {}
    rows = []
    for name in room.METHODS:
        method = room.METHODS.get(name)
        found[f"methods/{name}.md"] = _method(name, method, by_method.get(name, []))
        rows.append((f"[{name}]({name}.md)", _first_paragraph(method.__doc__), str(len(by_method.get(name, [])))))
    head = "# Methods\n\nEvery method runs in one training loop: `robench train --recipe NAME`.\n\n"
    found["methods/index.md"] = head + _table(("method", "what it does", "recipes"), rows)
    return found | _summary("methods", room.METHODS)


def _method(name: str, method: Any, its_recipes: list[str]) -> str:
    module = _clean(sys.modules[method.__module__].__doc__)
    doc = _clean(method.__doc__)
    about, _, options = doc.partition("Args:")
    lines = [f"# {name}", "", module, "", about.strip(), ""]
    if options.strip():
        lines += [
            "## Options",
            "",
            "```text",
            options.strip("\n"),
            "```",
            "",
            "Set one with `--set options.NAME=VALUE`.",
            "",
        ]
    lines += ["## Recipes", "", *([f"- `{one}`" for one in its_recipes] or ["None ships."]), ""]
    if its_recipes:
        lines += [
            "```sh",
            f"robench train --show {its_recipes[0]}",
            f"robench train --recipe {its_recipes[0]}",
            "```",
            "",
        ]
    return "\n".join(lines)


def commands() -> Pages:
    """One page per command: its ``--help``, with the advanced options."""
    from robench.cli.app import COMMANDS, build

    found: Pages = {}
    rows = []
    for name in COMMANDS:
        row = COMMANDS.get(name)
        found[f"commands/{name}.md"] = f"# robench {name}\n\n" + "\n".join(_helps([name], build(name)))
        rows.append((f"[robench {name}]({name}.md)", getattr(row, "summary", "")))
    found["commands/index.md"] = "# Commands\n\n" + _table(("command", "what it does"), rows)
    return found | _summary("commands", COMMANDS)


def _formula(latex: str) -> str:
    """Return a formula as MathML, which browsers show and read aloud without a script or a request."""
    from html import escape

    from latex2mathml.converter import convert

    opening = f'<math alttext="{escape(latex)}"'
    return f'<div style="overflow-x: auto">{convert(latex, display="block").replace("<math", opening, 1)}</div>'


def _helps(words: list[str], command: Any) -> list[str]:
    """Return a command's help, and that of its own commands, as Markdown that wraps on a phone."""
    import typer

    from robench.cli.help import Group, groups

    context = typer.Context(command, info_name=" ".join(["robench", *words]))
    usage = " ".join([context.command_path, *command.collect_usage_pieces(context)])
    lines = [f"`{usage}`", ""]
    for paragraph in (command.help or "").strip().split("\n\n"):
        typed = [line for line in paragraph.splitlines() if line.startswith("    ")]
        if len(typed) == len(paragraph.splitlines()):
            lines += ["```console", *(line[4:] for line in typed), "```", ""]
        else:
            lines += [_prose(paragraph), ""]
    for title, rows in groups(command, context).items():
        own = [f"- `{names}`: {_prose(text)}" for names, text in rows if not names.endswith(("--help", "--help-all"))]
        lines += [f"**{title}**", "", *own, ""] if own else []
    if isinstance(command, Group):
        for name in command.list_commands(context):
            inner = command.get_command(context, name)
            if inner is not None and not inner.hidden:
                lines += [f"## robench {words[0]} {name}", "", *_helps([*words, name], inner)]
    return lines


def _prose(text: str) -> str:
    """Return a text of a help on one line, with what Markdown would read as markup escaped, but for backquotes."""
    parts = " ".join(text.split()).split("`")
    return "`".join(part if i % 2 else re.sub(r"([*_<\[\]])", r"\\\1", part) for i, part in enumerate(parts))


def api() -> Pages:
    """The Python reference, from docstrings."""
    found: Pages = {}
    rows = []
    names = []
    for module, title, members in API:
        chosen = _public(module) if members is None else members
        text = f"# {title}\n\n"
        if chosen:
            text += "\n".join(f"::: {home}\n" for home in (_home(module, one) for one in chosen))
        else:
            text += f"::: {module}\n"
        found[f"api/{module}.md"] = text
        names.append(module)
        rows.append((f"[{module}]({module}.md)", title))
    found["api/index.md"] = "# Python reference\n\n" + _table(("module", ""), rows)
    return found | _summary("api", names)


def _public(module: str) -> list[str]:
    from importlib import import_module

    return [one for one in import_module(module).__all__ if callable(getattr(import_module(module), one))]


def _home(module: str, name: str) -> str:
    """Return where an object is defined, as lazily loaded names have no source in their package."""
    from importlib import import_module

    found = getattr(import_module(module), name)
    home = getattr(found, "__module__", module)
    defined = getattr(found, "__name__", name)
    return f"{home}.{defined}" if hasattr(sys.modules.get(home), defined) else f"{module}.{name}"


def _summary(folder: str, names: Iterable[str]) -> Pages:
    lines = ["* [Overview](index.md)", *(f"* [{name}]({name}.md)" for name in names)]
    return {f"{folder}/SUMMARY.md": "\n".join(lines) + "\n"}


def _table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    def line(cells: Iterable[str]) -> str:
        return "| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in cells) + " |"

    head = tuple(head)
    return "\n".join([line(head), "|" + " --- |" * len(head), *map(line, rows)])


def _clean(doc: str | None) -> str:
    import inspect

    return _markdown(inspect.cleandoc(doc or ""))


def _first_paragraph(doc: str | None) -> str:
    return " ".join(_clean(doc).partition("\n\n")[0].split())


def _markdown(text: str) -> str:
    """Turn docstring markup into Markdown: ``code`` and references."""
    return re.sub(r":[a-z]+:`~?([^`]+)`", r"`\1`", text.replace("``", "`"))


def write(opener: Callable[..., Any]) -> None:
    """Write the pages through mkdocs' opener."""
    for path, content in pages().items():
        mode = "wb" if isinstance(content, bytes) else "w"
        with opener(path, mode) as file:
            file.write(content)


if __name__ != "docs_pages":  # not under test
    import mkdocs_gen_files

    write(mkdocs_gen_files.open)
