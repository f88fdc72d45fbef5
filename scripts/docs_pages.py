"""The generated pages of the documentation site: suites, metrics, corruptions, methods, commands, the Python reference.

mkdocs runs this file (see mkdocs.yml). Everything is read from the tables that the package itself reads, so a new row
has its page; what a table does not hold (a metric's formula, a suite's files) stands in
scripts/docs/.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from scripts.docs.corruptions import corruptions  # noqa: E402
from scripts.docs.markdown import Pages, summary, table  # noqa: E402
from scripts.docs.methods import methods  # noqa: E402
from scripts.docs.metrics import metrics  # noqa: E402
from scripts.docs.suites import suites  # noqa: E402

API = (
    ("robench", "Functions at the top", None),
    ("robench.api.options", "Options", ()),
    ("robench.metrics", "Metrics of arrays", None),
    (
        "robench.corruptions",
        "Corruptions",
        ("corrupt", "Corrupt", "RandomCorruption", "Corrupted", "perturb", "register", "Corruption"),
    ),
    ("robench.integrations", "Training loops", None),
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


def commands() -> Pages:
    """One page per command: its ``--help``, with the advanced options."""
    from robench.cli.app import COMMANDS, build

    found: Pages = {}
    rows = []
    for name in COMMANDS:
        row = COMMANDS.get(name)
        found[f"commands/{name}.md"] = f"# robench {name}\n\n" + "\n".join(_helps([name], build(name)))
        rows.append((f"[robench {name}]({name}.md)", getattr(row, "summary", "")))
    found["commands/index.md"] = "# Commands\n\n" + table(("command", "what it does"), rows)
    return found | summary("commands", COMMANDS)


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
    found["api/index.md"] = "# Python reference\n\n" + table(("module", ""), rows)
    return found | summary("api", names)


def _public(module: str) -> list[str]:
    from importlib import import_module

    if module == "robench.integrations":  # its libraries need not be there to read its docstrings
        return list(import_module(module).__all__)
    return [one for one in import_module(module).__all__ if callable(getattr(import_module(module), one))]


def _home(module: str, name: str) -> str:
    """Return where an object is defined, as lazily loaded names have no source in their package."""
    from importlib import import_module

    if module == "robench.integrations":
        return f"{module}.{import_module(module)._HOMES[name]}.{name}"
    found = getattr(import_module(module), name)
    home = getattr(found, "__module__", module)
    defined = getattr(found, "__name__", name)
    return f"{home}.{defined}" if hasattr(sys.modules.get(home), defined) else f"{module}.{name}"


def write(opener: Callable[..., Any]) -> None:
    """Write the pages through mkdocs' opener."""
    for path, content in pages().items():
        mode = "wb" if isinstance(content, bytes) else "w"
        with opener(path, mode) as file:
            file.write(content)


if __name__ != "docs_pages":  # not under test
    import mkdocs_gen_files

    write(mkdocs_gen_files.open)
