"""A page per suite: what it is, its files, commands, traps, and what others published."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from scripts.docs.markdown import Pages, summary, table

ROOT = Path(__file__).resolve().parents[2]
BEST = 5


def suites() -> Pages:
    """One page per suite."""
    from robench.suites.definitions import SUITES

    published = _published_tables()
    words = yaml.safe_load((ROOT / "scripts/docs/suites.yaml").read_text(encoding="utf-8"))
    found: Pages = {}
    rows = []
    for name in SUITES:
        suite = SUITES.get(name)
        found[f"suites/{name}.md"] = "\n".join(_suite(suite, words[name], published))
        rows.append((f"[{name}]({name}.md)", suite.title, str(len(suite.cells)), " or ".join(suite.sources)))
    head = "# Suites\n\nA suite is a named protocol: what is measured, on which images, and how it is summed up.\n\n"
    found["suites/index.md"] = head + table(("suite", "what it measures", "cells", "images"), rows)
    return found | summary("suites", SUITES)


def _suite(suite: Any, words: Mapping[str, str], published: Mapping[str, list[str]]) -> Iterator[str]:
    from robench.api import describe_suite

    about = describe_suite(suite.name)
    data = _data_row(suite.name)
    facts = [
        ("measures", suite.title),
        ("classes", f"{suite.num_classes:,}" if suite.num_classes else "those of the data"),
        ("cells", f"{len(suite.cells)}: {', '.join(f'`{one}`' for one in about.conditions)}"),
        ("severities", ", ".join(map(str, suite.severities)) or "none"),
        ("images per cell", _images(suite)),
        ("cost", f"{about.passes:,} forward passes for all cells" if about.passes else "one forward pass per image"),
        ("headline value", f"`{suite.headline}`"),
        ("normalised by", suite.normaliser or "nothing"),
        ("images", " or ".join(suite.sources)),
        ("size of the download", _size(suite, data)),
        ("licence of the images", suite.licence or (data or {}).get("licence") or _nowhere(suite)),
        ("source", f"<{suite.url}>" if suite.url else _nowhere(suite)),
        ("paper", suite.paper or "none"),
    ]
    yield from (f"# {suite.name}", "", table(("", ""), facts), "")
    yield from _files(suite, words, about)
    yield from _commands(suite, data)
    if suite.notes:
        yield from ("## What to look out for", "", suite.notes, "")
    yield from _results(suite, published.get(suite.name, []))


def _files(suite: Any, words: Mapping[str, str], about: Any) -> Iterator[str]:
    yield from ("## Files", "")
    if "\n" in words["layout"]:
        yield from ("What `--data` holds:", "", "```text", words["layout"].rstrip(), "```", "")
    else:
        yield from (f"What `--data` holds: {words['layout']}.", "")
    if "clean" in words:
        yield from (f"To generate the images as they are read, give {words['clean']}", "")
    if about.columns:
        yield from ("Columns of the manifest: " + ", ".join(f"`{one}`" for one in about.columns) + ".", "")
        names = ", ".join(about.classes)
        yield from (f"Labels: numbers from {about.first_label}, or names: {names}.", "")
        sets = [(f"`{name}`", _rule(rule)) for name, rule in about.sets.items()]
        yield from (table(("set", "images with"), sets), "")


def _rule(rule: Mapping[str, Any]) -> str:
    def text(value: Any) -> str:
        return " or ".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)

    return "; ".join(f"{attribute} {text(value)}" for attribute, value in rule.items())


def _commands(suite: Any, data: Mapping[str, Any] | None) -> Iterator[str]:
    name = "ood:FOLDER" if suite.name == "ood" else suite.name
    where = "" if suite.embedded or suite.name == "ood" else " --data DIR"
    yield from ("## Commands", "", "```sh", f"robench suites show {suite.name}")
    if data is not None:
        yield f"robench data download {suite.name}"
    yield f"robench evaluate --model MODEL --suite {name}{where} --dry-run"
    yield f"robench evaluate --model MODEL --suite {name}{where}"
    if "generated" in suite.sources and suite.layout is not None and not suite.embedded:
        yield f"robench data generate --suite {suite.name} --source CLEAN --out DIR"
    if suite.name in _others():
        yield f"robench rank RUN --suite {suite.name}"
    yield from ("```", "")


def _results(suite: Any, tables: list[str]) -> Iterator[str]:
    from robench.tables.published import load_table

    theirs = list(_living(suite.name))
    if not tables and not theirs:
        return
    yield from ("## Published results that ship with robench", "")
    if tables:
        lines = [(f"`robench table {one}`", load_table(one).caption) for one in tables]
        yield from (table(("command", "the paper's table"), lines), "")
        yield from ("[Papers](../papers.md) says which of their cells a run fills.", "")
    yield from theirs


def _living(suite: str) -> Iterator[str]:
    """Yield the best of RobustBench's or timm's rows."""
    from robench.tables.living import ROBUSTBENCH, TIMM_MATCHING, robustbench, timm

    if suite in ROBUSTBENCH:
        cells = robustbench(suite)
        best = sorted(cells.about["models"], key=cells.mean_error)[:BEST]
        count = f"{len(cells.clean)} rows ({cells.about['date']})"
        yield f"The best {BEST} of RobustBench's {count}, {cells.about['protocol']}:"
        lines = [(one, f"{100 * cells.mean_error(one):.2f}", f"{100 * (1 - cells.clean[one]):.2f}") for one in best]
        yield from ("", table(("model", "mean error, %", "clean error, %"), lines), "")
    if suite in TIMM_MATCHING:
        about, rows = timm()
        rows = sorted((row for row in rows if row[suite] is not None), key=lambda row: -row[suite])
        yield f"The best {BEST} of timm's {len(rows):,} rows ({about['date']}), {about['sets'][suite]}:"
        lines = [(f"{row['model']} at {row['image_size']}", f"{100 * (1 - row[suite]):.2f}") for row in rows[:BEST]]
        yield from ("", table(("model", "error, %"), lines), "")


def _others() -> set[str]:
    from robench.tables.living import ROBUSTBENCH, TIMM_MATCHING

    return {*ROBUSTBENCH, *TIMM_MATCHING}


def _images(suite: Any) -> str:
    each = {cell.condition: suite.published_images(cell.condition) for cell in suite.cells}
    counts = set(each.values())
    if len(counts) == 1:
        (count,) = counts
        return "as many as there are" if count is None else f"{count:,}"
    return ", ".join(f"`{name}` {'not fixed' if count is None else f'{count:,}'}" for name, count in each.items())


def _data_row(name: str) -> dict[str, Any] | None:
    rows = yaml.safe_load((ROOT / "robench/data/catalogue.yaml").read_text(encoding="utf-8"))
    return next((row for row in rows if row["name"] == name), None)


def _size(suite: Any, row: Mapping[str, Any] | None) -> str:
    if suite.embedded:
        return "nothing to download"
    if row is None:
        return "robench does not download it"
    sizes = [file.get("size") for file in row.get("files", [])]
    return "not known" if None in sizes or not sizes else f"{sum(sizes) / 1e9:.2f} GB"


def _nowhere(suite: Any) -> str:
    if suite.embedded:
        return "comes with robench"
    return (
        "that of your images" if suite.name in ("clean", "ood") else "see the source" if suite.url else "see the paper"
    )


def _published_tables() -> dict[str, list[str]]:
    from robench.tables.published import addresses, load_table

    found: dict[str, list[str]] = {}
    for address in addresses():
        table_ = load_table(address)
        cells = ((i, column) for i in range(len(table_.rows)) for column in table_.columns)
        meanings = (table_.meaning(i, column) for i, column in cells)
        shifted = [one for one in meanings if not (one.metric or "").removeprefix("1-").startswith("clean")]
        named = {one.suite for one in shifted if one.suite}
        for suite in sorted(named):
            found.setdefault(suite, []).append(address)
    return found
