"""JSON and YAML documents read with care: somebody else may have written them, cut them short or made them up."""

from __future__ import annotations

import errno
import json
import math
import os
import re
import stat
from pathlib import Path
from typing import Any

from robench.errors import RobenchError

_MAX_DEPTH = 100
_MAX_VALUES = 1_000_000  # of a YAML document, whose references can multiply a few lines
_MAX_BYTES = {"json": 256 << 20, "yaml": 4 << 20}
_TYPES = {dict: "a mapping", list: "a list", str: "a text", type(None): "nothing", bool: "true or false"}
_HUGE = re.compile(r"[eE]\+?\d{3}")


def read_document(
    path: str | os.PathLike[str],
    kind: str,
    *,
    top: type[dict[Any, Any]] | type[list[Any]] | None = dict,
    hint: str | None = None,
    max_bytes: int | None = None,
) -> Any:
    """Read a JSON or YAML document that somebody else may have written, cut short or made up.

    Args:
        path: the file; it is read as YAML where its name ends in ``.yaml`` or ``.yml``, else as JSON.
        kind: what the document is, as messages call it: ``"model card"``, ``"run record"``.
        top: type that the document must have; None: any. A mapping's keys must be text.
        hint: the next step for the user where the document cannot be used.
        max_bytes: largest size; None: 256 MiB of JSON, 4 MiB of YAML.

    Returns:
        The document, made of plain values, nested at most 100 deep; NaN and infinity occur in YAML only.

    Raises:
        RobenchError: no such file, not a regular file, too large, not UTF-8, bad syntax, nested too deep, or of
            another type. The message names the file, what was expected and what was found.
    """
    path = Path(path)
    form = "yaml" if path.suffix.lower() in (".yaml", ".yml") else "json"
    limit = max_bytes if max_bytes is not None else _MAX_BYTES[form]
    try:
        data = _read_regular(path, limit)
    except (OSError, ValueError) as error:
        reason = "it does not exist" if isinstance(error, FileNotFoundError) else _reason(error)
        raise RobenchError(
            f"Could not read the {kind} {path}: {reason}.", hint=hint or "Check the path and its permissions."
        ) from error
    return parse_document(data, str(path), kind, form=form, top=top, hint=hint)


def parse_document(
    data: bytes,
    name: str,
    kind: str,
    *,
    form: str = "json",
    top: type[dict[Any, Any]] | type[list[Any]] | None = dict,
    hint: str | None = None,
) -> Any:
    """Read the bytes of a JSON or YAML document; see :func:`read_document`, which takes them from a file.

    >>> parse_document(b'{"seed": 1}', "run.json", "run record")
    {'seed': 1}

    Raises:
        RobenchError: as there.
    """
    try:
        text = data.decode("utf-8")
        document = _load(text, form)
        _check(document, text, form)
    except UnicodeDecodeError as error:
        reason = f"expected UTF-8; found byte {data[error.start]:#04x} at position {error.start}"
    except RecursionError:
        reason = f"it is nested more than {_MAX_DEPTH} deep"
    except Exception as error:  # what a damaged document makes a parser raise is not limited to its own errors
        reason = f"it is not valid {form.upper()}: {_reason(error)}"
    else:
        if top is None or (isinstance(document, top) and _has_text_keys(document)):
            return document
        found = _TYPES.get(type(document), f"a {type(document).__name__}")
        reason = f"expected {_TYPES[top]}{' with names as keys' if top is dict else ''}; found {found}"
        if isinstance(document, dict) and top is dict:
            reason += f" with the key {next(key for key in document if not isinstance(key, str))!r}"
    raise RobenchError(
        f"Could not read the {kind} {name}: {reason}.", hint=hint or "It is damaged or another file; get it again."
    )


def require_regular(path: str | os.PathLike[str]) -> os.stat_result:
    """Return the status of a regular file; a pipe or a device, which may never end, is refused before it is opened.

    Raises:
        OSError: there is no such file, or it is not a regular file.
    """
    status = os.stat(path)
    if stat.S_ISDIR(status.st_mode):
        raise IsADirectoryError(errno.EISDIR, "it is a folder", str(path))
    if not stat.S_ISREG(status.st_mode):
        raise OSError(errno.EINVAL, "it is not a regular file but a pipe, socket or device", str(path))
    return status


def _read_regular(path: Path, limit: int) -> bytes:
    size = require_regular(path).st_size
    if size > limit:
        raise ValueError(f"it has {size:,} bytes; at most {limit:,} are expected")
    return path.read_bytes()


def _load(text: str, form: str) -> Any:
    if form == "json":
        return json.loads(text, parse_constant=_refuse_constant, parse_float=_finite if _HUGE.search(text) else None)
    return load_yaml(text)


def load_yaml(text: str) -> Any:
    """Return a YAML document of plain values.

    Raises:
        yaml.YAMLError: bad syntax, or a mapping with one key twice, of which YAML's parsers keep the last silently.

    >>> load_yaml("a: {b: 1, c: [2, 3]}")
    {'a': {'b': 1, 'c': [2, 3]}}
    """
    import yaml

    loader = yaml.SafeLoader(text)
    try:
        node = loader.get_single_node()
        if node is None:
            return None
        _refuse_doubles(node)  # before `<<` brings other keys in, which may be overridden
        return loader.construct_document(node)
    finally:
        loader.dispose()


def _refuse_doubles(top: Any) -> None:
    from yaml import MappingNode, ScalarNode, SequenceNode
    from yaml.constructor import ConstructorError

    waiting, seen = [top], set()
    while waiting:
        node = waiting.pop()
        if id(node) in seen:
            continue
        seen.add(id(node))
        if isinstance(node, SequenceNode):
            waiting += node.value
        elif isinstance(node, MappingNode):
            keys = [key for key, _ in node.value if isinstance(key, ScalarNode)]
            names = [(key.tag, key.value) for key in keys]
            if len(set(names)) < len(names):
                twice = next(key for i, key in enumerate(keys) if names[i] in names[:i])
                raise ConstructorError(None, None, f"'{twice.value}' is there twice", twice.start_mark)
            waiting += [one for pair in node.value for one in pair]


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"it holds {name}, which is not a JSON number")


def _finite(text: str) -> float:
    value = float(text)
    return value if math.isfinite(value) else _refuse_constant(text)


def _check(document: Any, text: str, form: str) -> None:
    """Refuse what is nested too deep, grows by references (YAML), or holds text that is not Unicode.

    Raises:
        RecursionError: nested too deep.
        ValueError: too many values, or half of a surrogate pair.
    """
    escapes = "\\u" in text or "\\U" in text
    waiting = [(document, 0)]
    seen = 0
    while waiting:
        value, depth = waiting.pop()
        if isinstance(value, str):
            value.encode()
            continue
        seen += len(value) if isinstance(value, dict | list) else 0
        if depth > _MAX_DEPTH:
            raise RecursionError
        if form == "yaml" and seen > _MAX_VALUES:
            raise ValueError(f"it holds more than {_MAX_VALUES:,} values")
        inner = [*value, *value.values()] if isinstance(value, dict) else value if isinstance(value, list) else ()
        kept = (dict, list, str) if escapes else (dict, list)
        waiting.extend((one, depth + 1) for one in inner if isinstance(one, kept))


def _has_text_keys(document: Any) -> bool:
    return not isinstance(document, dict) or all(isinstance(key, str) for key in document)


def _reason(error: Exception) -> str:
    if isinstance(error, UnicodeEncodeError):
        return "a text in it is not Unicode"
    if isinstance(error, OSError):
        return error.strerror or str(error)
    return " ".join(str(error).split()).rstrip(".") or type(error).__name__
