"""The library's messages in the words of the command line.

The library names an option as Python users write it, in backquotes: `` `limit` ``, `` `limit=500` `` or
`` `robench.evaluate(limit=500)` ``. Here they become ``--limit``, ``--limit 500`` and
`` `robench evaluate --limit 500` ``, so that a refusal is written once.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Sequence
from typing import Any

Find = Callable[[str | None], Any]
_SPAN = re.compile(r"`([^`\n]+)`")
_KEYWORD = re.compile(r"([a-z_]+)(=.+)?")
_CALL = re.compile(r"robench\.(?:api\.)?([a-z_]+)\(.*\)")


def in_options(text: str, find: Find) -> str:
    """Return a message of the library with its keywords as options.

    Args:
        text: the message.
        find: returns the parameters of a command by its name, of the running command for None; nothing of a command
            that is not there.

    >>> from typer.models import OptionInfo
    >>> class limit: name, opts, secondary_opts, is_flag = "limit", ["--limit"], [], False
    >>> in_options("`limit` is 0; try `limit=5` or `robench.evaluate(limit=5)`.", lambda _: [limit])
    '--limit is 0; try --limit 5 or `robench evaluate --limit 5`.'
    """

    def shown(match: re.Match[str]) -> str:
        span = match[1]
        if call := _CALL.fullmatch(span):
            return _command(call[1], span, find) or match[0]
        if keyword := _KEYWORD.fullmatch(span):
            return (
                _option(keyword[1], keyword[2], find(None) or ())
                or _option(keyword[1], keyword[2], find("evaluate") or ())
                or match[0]
            )
        return match[0]

    return _SPAN.sub(shown, text)


def _option(name: str, value: str | None, parameters: Sequence[Any]) -> str | None:
    parameter = next((one for one in parameters if one.name.rstrip("_") == name), None)
    if parameter is None:
        return None
    return _written(parameter, None if value is None else ast.literal_eval(value[1:]), valued=value is not None)


def _written(parameter: Any, value: object, *, valued: bool) -> str:
    """Return an option with its value as it is typed, or an argument's name."""
    named = [one for one in parameter.opts if one.startswith("-")]
    if not named:
        return str(value) if valued else str(parameter.metavar or parameter.name).upper()
    option = max(named, key=len)
    if valued and isinstance(value, bool):
        off = getattr(parameter, "secondary_opts", [])
        return option if value else max(off, key=len, default=option)
    return f"{option} {_typed(value)}" if valued else option


def _typed(value: object) -> str:
    return ",".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)


def _command(name: str, span: str, find: Find) -> str | None:
    """Return a call of the library as the command that does the same."""
    parameters = find(name)
    tree = ast.parse(span, mode="eval").body
    if not parameters or not isinstance(tree, ast.Call):
        return None
    words = [f"robench {name}"]
    for parameter, node in zip(parameters, tree.args, strict=False):
        words.append(_written(parameter, _value(node), valued=True))
    for keyword in tree.keywords:
        parameter = next((one for one in parameters if one.name.rstrip("_") == keyword.arg), None)
        if parameter is None:
            return None
        words.append(_written(parameter, _value(keyword.value), valued=True))
    return f"`{' '.join(words)}`"


def _value(node: ast.expr) -> object:
    """Return a literal; a name stands for what the user fills in."""
    if isinstance(node, ast.Name):
        return node.id.upper()
    value = ast.literal_eval(node)
    return "..." if value is ... else value
