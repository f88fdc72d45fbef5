"""What messages advise can be done: options that texts name exist, and the library speaks Python, not options."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import robench
from robench.cli.app import COMMANDS, build
from robench.cli.words import in_options
from robench.plots import PLOTS

PACKAGE = Path(robench.__file__).parent
OTHERS = {"--force-reinstall", "--head", "--help", "--nproc-per-node", "--version"}  # of pip, ray, all, torchrun
# Outside robench/cli these write commands to be typed: into cards, reports, other processes, and rows of plots.
COMMAND_WRITERS = {
    "api/conformal_sets.py",
    "api/probe.py",
    "api/train.py",
    "api/set_work.py",
    "api/train_set.py",
    "plots/ablation_curves.py",
    "plots/coverage_curves.py",
    "plots/method_bars.py",
    "tables/coverage.py",
    "tables/figures.py",
    "tables/findings.py",
    "tables/report_words.py",
    "plots/outlier_rows.py",
    "plots/registry.py",
    "plots/reliability_diagrams.py",
    "plots/severity_curves.py",
}
SPAN = re.compile(r"(?<!`)`([a-z_]+)(?:=[^`]*)?`(?!`)")


def parameters() -> Iterator[Any]:
    """Yield every option and argument of every command."""
    for name in COMMANDS:
        command = build(name)
        yield from command.params
        for part in getattr(command, "commands", {}).values():
            yield from part.params
    for name in PLOTS:
        yield from build("plot").get_command(None, name).params


def texts(path: Path) -> Iterator[tuple[int, str]]:
    """Yield (line, text) of a file's strings, without docstrings; the literal parts of an f-string are joined."""
    tree = ast.parse(path.read_text())
    passed = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Module | ast.FunctionDef | ast.ClassDef)
        and node.body
        and isinstance(node.body[0], ast.Expr)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            passed |= {id(part) for part in ast.walk(node) if isinstance(part, ast.Constant)}
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            yield node.lineno, "".join(str(p.value) if isinstance(p, ast.Constant) else "0" for p in node.values)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in passed:
            yield node.lineno, node.value


def options_in(text: str) -> list[str]:
    return [] if "var(--" in text else re.findall(r"(?<![\w-])--[a-z][a-z0-9-]+", text)


def test_options_in_texts_exist() -> None:
    known = OTHERS | {one for parameter in parameters() for one in (*parameter.opts, *parameter.secondary_opts)}
    wrong = [
        f"{path.relative_to(PACKAGE)}:{line} {option}"
        for path in sorted(PACKAGE.rglob("*.py"))
        for line, text in texts(path)
        for option in options_in(text)
        if option not in known
    ]
    assert wrong == []


def test_the_library_names_keywords_not_options() -> None:
    wrong = [
        f"{path.relative_to(PACKAGE)}:{line} {option}: write it as `{option.lstrip('-').replace('-', '_')}`"
        for path in sorted(PACKAGE.rglob("*.py"))
        if path.relative_to(PACKAGE).parts[0] != "cli" and path.relative_to(PACKAGE).as_posix() not in COMMAND_WRITERS
        for line, text in texts(path)
        for option in options_in(text)
        if option not in OTHERS
    ]
    assert wrong == []


def test_keywords_in_texts_exist() -> None:
    known = {parameter.name.rstrip("_") for parameter in parameters()}
    known |= {option.lstrip("-").replace("-", "_") for one in parameters() for option in one.opts}
    known |= {"torchrun"}  # a program
    wrong = [
        f"{path.relative_to(PACKAGE)}:{line} `{word}`"
        for path in sorted(PACKAGE.rglob("*.py"))
        for line, text in texts(path)
        for word in SPAN.findall(text)
        if word not in known
    ]
    assert wrong == []


def test_keywords_become_options() -> None:
    def find(name: str | None) -> Any:
        return build(name or "evaluate").params

    for said, shown in (
        ("Set `limit`.", "Set --limit."),
        ("`num_classes=10`", "--num-classes 10"),
        ("`mean=(0.5, 0.4, 0.3)`", "--mean 0.5,0.4,0.3"),
        ("`skip_corrupt=True`", "--skip-corrupt"),
        ("`fold=False`", "--no-fold"),
        ("`data` and `out`", "--data and --out"),
        ("`robench.evaluate(keep_logits='yes')`", "`robench evaluate --keep-logits yes`"),
        (
            "`robench.evaluate(model, 'cifar10-c', limit=5)`",
            "`robench evaluate --model MODEL --suite cifar10-c --limit 5`",
        ),
        ("`robench.fourier(model, lowpass='4,8')`", "`robench fourier --model MODEL --lowpass 4,8`"),
        ("`robench.calibrate(run, fit_on='clean')`", "`robench calibrate RUN --fit-on clean`"),
        ("`robench.train('edsr-digits')`", "`robench train --recipe edsr-digits`"),
        ("`robench data list` and 'clean'", "`robench data list` and 'clean'"),
        ("`- PATH`", "`- PATH`"),
        ("`no_such_word=(`", "`no_such_word=(`"),
    ):
        assert in_options(said, find) == shown
    assert in_options("`set='epochs=5'`", lambda _: build("train").params) == "--set epochs=5"
