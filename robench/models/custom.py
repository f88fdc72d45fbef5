"""Models made by Python code of the user: ``python:FILE.py:FUNCTION`` and ``python:MODULE:FUNCTION``."""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FunctionType
from typing import TYPE_CHECKING, Any

from torch import nn

from robench.errors import RobenchError
from robench.models.base import Model, Preprocessing
from robench.models.checkpoints import file_hash
from robench.models.identity import identify
from robench.models.provenance import is_library
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
        paths = {Path(origin).resolve() for origin in _origins(kind)}
        files |= {path for path in paths if path.is_relative_to(home.parent) and path.is_file()}
    hashes = (f"{path.relative_to(home.parent).as_posix()}|{file_hash(path)}" for path in sorted(files))
    return hashlib.sha256("|".join(hashes).encode()).hexdigest()


def _origins(kind: type) -> set[str]:
    """Return the files that a class is defined in; its module may have made room for another of its name."""
    codes = (part.__code__.co_filename for part in vars(kind).values() if isinstance(part, FunctionType))
    return {*codes, getattr(sys.modules.get(kind.__module__), "__file__", None) or ""} - {""}


def call_function(target: str) -> Any:
    """Import ``FILE:FUNCTION`` or ``MODULE:FUNCTION`` and return what the function returns.

    Raises:
        RobenchError: no such file, module or function, or it fails.
    """
    where, _, function = target.rpartition(":")
    if not where:
        raise RobenchError(f"python:{target} names no function.", hint="Write python:FILE.py:FUNCTION.")
    with _imported(where) as code:
        try:
            found = getattr(code, function)
        except AttributeError as error:
            raise RobenchError(
                f"{where} has no function '{function}'.", hint="Write python:FILE.py:FUNCTION."
            ) from error
        try:
            return found()
        except RobenchError:
            raise
        except Exception as error:
            raise RobenchError(
                f"{function}() of {where} failed: {type(error).__name__}: {error}",
                hint="Call it in Python to see where.",
            ) from error


def import_code(where: str) -> Any:
    """Return the module of a file (``FILE.py``) or of a dotted name, imported.

    Raises:
        RobenchError: no such file or module, or it fails when imported.
    """
    with _imported(where) as code:
        return code


@contextmanager
def _imported(where: str) -> Iterator[Any]:
    """Import a file or module; within the block, what lies beside a file is imported as when it is run as a script."""
    path = Path(where)
    if path.suffix != ".py":
        try:
            code = importlib.import_module(where)
        except ImportError as error:
            raise RobenchError(
                f"Cannot import '{where}': {error}", hint="Give a file (python:FILE.py:FUNCTION)."
            ) from error
        yield code
        return
    if not path.is_file():
        raise RobenchError(f"No such file: {path}", hint="Check the path in python:FILE.py:FUNCTION.")
    with _beside(path.parent.resolve()):
        name = path.stem if path.stem not in sys.modules else f"_{path.stem}"
        spec = importlib.util.spec_from_file_location(name, path)
        if spec is None or spec.loader is None:
            raise RobenchError(f"Cannot import {path}.")
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module  # dataclasses look their module up
        try:
            spec.loader.exec_module(module)
        except Exception as error:
            sys.modules.pop(name, None)
            raise RobenchError(f"{path} fails when imported: {type(error).__name__}: {error}") from error
        try:
            yield module
        finally:
            sys.modules.pop(name, None)


@contextmanager
def _beside(folder: Path) -> Iterator[None]:
    """Let imports find the modules of a folder, and none of the same name that another folder's files imported.

    Afterwards the name is that of the module that was there before.
    """
    tops = {path.stem for path in folder.iterdir() if path.suffix == ".py" or path.is_dir()} - {"robench", "__main__"}
    known = [(name, module) for name, module in list(sys.modules.items()) if name.partition(".")[0] in tops]
    others = {name: module for name, module in known if _lies_elsewhere(module, folder)}
    for name in others:
        del sys.modules[name]
    sys.path.insert(0, str(folder))
    importlib.invalidate_caches()
    try:
        yield
    finally:
        if str(folder) in sys.path:
            sys.path.remove(str(folder))
        covered = {name.partition(".")[0] for name in others}
        for name in [name for name in sys.modules if name.partition(".")[0] in covered]:
            del sys.modules[name]
        sys.modules.update(others)


def _lies_elsewhere(module: Any, folder: Path) -> bool:
    """Return whether a module is of a file outside a folder and of no installed package."""
    file = getattr(module, "__file__", None) or next(iter(getattr(module, "__path__", ())), None)
    return file is not None and not is_library(str(file)) and not Path(file).resolve().is_relative_to(folder)
