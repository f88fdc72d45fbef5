"""What messages advise can be typed: every option that the package's texts name is one of the command line's."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import robench
from robench.cli.app import COMMANDS, build

OTHERS = {"--force-reinstall", "--head", "--help", "--nproc-per-node", "--version"}  # of pip, ray, all, torchrun


def options(command: Any) -> Iterator[str]:
    for parameter in command.params:
        yield from (*parameter.opts, *parameter.secondary_opts)
    for part in getattr(command, "commands", {}).values():
        yield from options(part)


def test_options_in_texts_exist() -> None:
    known = OTHERS.union(*(options(build(name)) for name in COMMANDS))
    wrong = []
    for path in sorted(Path(robench.__file__).parent.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and "var(--" not in node.value:
                named = re.findall(r"(?<![\w-])--[a-z][a-z0-9-]+", node.value)
                wrong += [f"{path.name}:{node.lineno} {one}" for one in named if one not in known]
    assert wrong == []
