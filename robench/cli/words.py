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
_SPAN = re.compile(r"(?<!`)`([^`\n]+)`(?!`)")
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
        try:
            if call := _CALL.fullmatch(span):
                return _command(call[1], span, find) or match[0]
            if keyword := _KEYWORD.fullmatch(span):
                value = None if keyword[2] is None else ast.literal_eval(keyword[2][1:])
                for parameters in (find(None), find("evaluate")):
                    if (parameter := _named(keyword[1], parameters or ())) is not None:
                        return _written(parameter, value, valued=keyword[2] is not None)
        except (SyntaxError, ValueError):  # not Python after all
            pass
        return match[0]

    return _SPAN.sub(shown, text)


def _named(word: str, parameters: Sequence[Any]) -> Any:
    """Return the parameter that a keyword is: by its longest option, or by its name; None if there is none."""
    for parameter in parameters:
        options = [one for one in parameter.opts if one.startswith("-")]
        name = max(options, key=len).lstrip("-").replace("-", "_") if options else parameter.name
        if word in (name, parameter.name.rstrip("_")):
            return parameter
    return None


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
    import inspect

    from robench import api

    parameters, function = find(name), getattr(api, name, None)
    tree = ast.parse(span, mode="eval").body
    if not parameters or function is None or not isinstance(tree, ast.Call):
        return None
    given = list(zip(inspect.signature(function).parameters, tree.args, strict=False))
    given += [(keyword.arg or "", keyword.value) for keyword in tree.keywords]
    words = [f"robench {name}"]
    for word, node in given:
        parameter = _named(word, parameters)
        if parameter is None:
            return None
        words.append(_written(parameter, _value(node), valued=True))
    return f"`{' '.join(words)}`"


def _value(node: ast.expr) -> object:
    """Return a literal; a name stands for what the user fills in."""
    if isinstance(node, ast.Name):
        return node.id.upper()
    value = ast.literal_eval(node)
    return "..." if value is ... else value
