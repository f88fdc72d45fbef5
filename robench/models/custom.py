"""Models made by Python code of the user: ``python:FILE.py:FUNCTION`` and ``python:MODULE:FUNCTION``."""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import nn

from robench.errors import RobenchError
from robench.models.base import Model, Preprocessing
from robench.models.checkpoints import file_hash
from robench.models.identity import identify
from robench.models.request import count_classes

if TYPE_CHECKING:
    from robench.models.request import Request


def from_python(target: str, request: Request) -> Model:
    """Call a function and take what it returns as a model.

    Raises:
        RobenchError: no such function, it fails, or it returns something that cannot be called.
    """
    module = call_function(target)
    if isinstance(module, Model):
        return module
    if not callable(module):
        raise RobenchError(
            f"python:{target} returned {type(module).__name__}, which cannot be called with images.",
            hint="Let it return an nn.Module, or a function from images (n, 3, H, W) to logits (n, K).",
        )
    title = target.rpartition(":")[2]
    classes = count_classes(module, request.num_classes, title)
    identity = identify(module)
    # Also with an unproven identity the hash is stable, so that the same spec finds its run again.
    found = hashlib.sha256(f"{identity.digest}|{source_hash(target, module)}".encode()).hexdigest()
    card = {"spec": f"python:{target}"} | identity.remark()
    return Model(title, module, classes, Preprocessing(), found, card, identity_proven=identity.proven)


def source_hash(target: str, module: Any) -> str:
    """Return the SHA-256 over the file of ``FILE:FUNCTION`` and those in its folder that define classes of ``module``.

    Empty if there is no file to read, as for a built-in module.
    """
    where = target.rpartition(":")[0]
    name = where if where.endswith(".py") else getattr(sys.modules.get(where), "__file__", None)
    if name is None or not Path(name).is_file():
        return ""
    home = Path(name).resolve()
    files = {home}
    for kind in {type(part) for part in module.modules()} if isinstance(module, nn.Module) else ():
        origin = getattr(sys.modules.get(kind.__module__), "__file__", None)
        if origin is not None and (path := Path(origin).resolve()).is_relative_to(home.parent) and path.is_file():
            files.add(path)
    hashes = (f"{path.relative_to(home.parent).as_posix()}|{file_hash(path)}" for path in sorted(files))
    return hashlib.sha256("|".join(hashes).encode()).hexdigest()


def call_function(target: str) -> Any:
    """Import ``FILE:FUNCTION`` or ``MODULE:FUNCTION`` and return what the function returns.

    Raises:
        RobenchError: no such file, module or function, or it fails.
    """
    where, _, function = target.rpartition(":")
    if not where:
        raise RobenchError(f"python:{target} names no function.", hint="Write python:FILE.py:FUNCTION.")
    try:
        found = getattr(import_code(where), function)
    except AttributeError as error:
        raise RobenchError(f"{where} has no function '{function}'.", hint="Write python:FILE.py:FUNCTION.") from error
    try:
        return found()
    except RobenchError:
        raise
    except Exception as error:
        raise RobenchError(
            f"{function}() of {where} failed: {type(error).__name__}: {error}", hint="Call it in Python to see where."
        ) from error


def import_code(where: str) -> Any:
    """Return the module of a file (``FILE.py``) or of a dotted name, imported.

    Raises:
        RobenchError: no such file or module, or it fails when imported.
    """
    path = Path(where)
    if path.suffix != ".py":
        try:
            return importlib.import_module(where)
        except ImportError as error:
            raise RobenchError(
                f"Cannot import '{where}': {error}", hint="Give a file (python:FILE.py:FUNCTION)."
            ) from error
    if not path.is_file():
        raise RobenchError(f"No such file: {path}", hint="Check the path in python:FILE.py:FUNCTION.")
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None:
        raise RobenchError(f"Cannot import {path}.")
    module = importlib.util.module_from_spec(spec)
    sys.path.insert(0, str(path.parent.resolve()))  # the file's own imports, as when it is run as a script
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        raise RobenchError(f"{path} fails when imported: {type(error).__name__}: {error}") from error
    finally:
        sys.path.pop(0)
    return module
