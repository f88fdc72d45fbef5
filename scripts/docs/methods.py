"""A page per training method: what it does, its options with their defaults, its recipes with their cost."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from dataclasses import MISSING, fields, is_dataclass
from typing import Any

from scripts.docs.markdown import Pages, clean, first_paragraph, summary, table


def methods() -> Pages:
    """One page per training method."""
    from robench.api import list_recipes
    from robench.training import methods as room

    by_method: dict[str, list[Any]] = {}
    for recipe in list_recipes():
        by_method.setdefault(recipe.method, []).append(recipe)
    found: Pages = {}
    rows = []
    for name in room.METHODS:
        method = room.METHODS.get(name)
        found[f"methods/{name}.md"] = "\n".join(_method(name, method, by_method.get(name, [])))
        rows.append((f"[{name}]({name}.md)", first_paragraph(method.__doc__), str(len(by_method.get(name, [])))))
    head = "# Methods\n\nEvery method runs in one training loop: `robench train --recipe NAME`.\n\n"
    found["methods/index.md"] = head + table(("method", "what it does", "recipes"), rows)
    return found | summary("methods", room.METHODS)


def _method(name: str, method: Any, recipes: list[Any]) -> Iterator[str]:
    module = clean(sys.modules[method.__module__].__doc__)
    about, _, options = clean(method.__doc__).partition("Args:")
    yield from (f"# {name}", "", module, "", about.strip(), "")
    if rows := list(_options(options, method)):
        yield from ("## Options", "", "Set one with `--set options.NAME=VALUE`.", "")
        yield from (table(("option", "default", ""), rows), "")
    yield from ("## Recipes", "")
    if not recipes:
        yield from ("None ships. `--set method=" + name + "` gives any recipe this method.", "")
        return
    yield from (
        "```sh",
        f"robench train --show {recipes[0].name}",
        f"robench train --recipe {recipes[0].name}",
        "```",
        "",
    )
    yield "Passes: forward and backward passes per training image. GPU time: of their arithmetic alone, at 10 TFLOP/s."
    rows = [(f"`{one.name}`", one.architecture, one.data, _number(one.passes), _time(one.hours)) for one in recipes]
    yield from ("", table(("recipe", "network", "data", "passes", "GPU time"), rows), "")


def _options(text: str, method: Any) -> Iterator[tuple[str, str, str]]:
    """Yield the options that a docstring explains, with their defaults."""
    defaults = {one.name: one.default for one in fields(method)} if is_dataclass(method) else {}
    entries = re.findall(r"^ {4}(\w[\w, ]*): (.*?)(?=^ {4}\w[\w, ]*: |\Z)", text, re.MULTILINE | re.DOTALL)
    for names, about in entries:
        each = [one.strip() for one in names.split(",")]
        shown = ", ".join("required" if defaults.get(one, MISSING) is MISSING else f"`{defaults[one]}`" for one in each)
        yield ", ".join(f"`{one}`" for one in each), shown, " ".join(about.split())


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:,.0f}"


def _time(hours: float | None) -> str:
    if hours is None:
        return ""
    if hours < 1 / 60:
        return "under 1 min"
    return f"{60 * hours:.0f} min" if hours < 1 else f"{hours:.1f} h"
