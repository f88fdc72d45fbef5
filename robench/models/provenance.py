"""Where functions and classes come from: those of installed packages are identified by name, version and source."""

from __future__ import annotations

import site
import sys
import sysconfig
import types
from functools import cache
from pathlib import Path
from typing import Any

from robench.files import sha256

_DESCRIPTORS = (
    types.MethodDescriptorType, types.WrapperDescriptorType, types.GetSetDescriptorType,
    types.ClassMethodDescriptorType,
)  # fmt: skip
_HEAP_TYPE = 1 << 9


@cache
def is_library(file: str) -> bool:
    """Return whether a file belongs to Python or an installed package."""
    if file.startswith("<frozen"):
        return True
    if file.startswith("<"):
        return False
    return any(Path(file).is_relative_to(place) for place in _places())


@cache
def _places() -> tuple[Path, ...]:
    paths = sysconfig.get_paths()
    names = [paths[key] for key in ("stdlib", "platstdlib", "purelib", "platlib") if key in paths]
    return tuple(Path(name) for name in {*names, *site.getsitepackages(), site.getusersitepackages()})


@cache
def version(module: str | None) -> str:
    """Return what identifies a module of Python or of an installed package.

    That is the package's version without a build's suffix, and the SHA-256 of the module's own source: packages are
    installed from working copies too. Of Python itself it is the version.
    """
    top = (module or "").partition(".")[0]
    if top in sys.stdlib_module_names:
        return ".".join(map(str, sys.version_info[:2]))
    found = str(getattr(sys.modules.get(top), "__version__", "")).partition("+")[0]
    file = Path(getattr(sys.modules.get(module or ""), "__file__", None) or "")
    return f"{found}:{sha256(file)}" if file.suffix == ".py" and file.is_file() else found


def of_library(kind: type) -> bool:
    """Return whether a class comes from Python or an installed package."""
    for part in vars(kind).values():
        function = getattr(part, "__func__", part)
        if isinstance(function, types.FunctionType) and function.__module__ == kind.__module__:
            file = function.__code__.co_filename
            if not file.startswith("<") or file.startswith("<frozen"):  # others are generated, such as a dataclass's
                return is_library(file)
    module = sys.modules.get(kind.__module__)
    home: str | None = getattr(module, "__file__", None)
    return module is not None and kind.__module__ != "__main__" and (home is None or is_library(home))


def is_native(kind: type) -> bool:
    """Return whether objects of a class have state other than attributes: those of classes written in C do."""
    own = (part for name, part in vars(kind).items() if name not in ("__dict__", "__weakref__"))
    return not kind.__flags__ & _HEAP_TYPE or any(
        isinstance(part, _DESCRIPTORS) and part.__objclass__ is kind for part in own
    )


def found_in(module: Any, name: str) -> Any:
    """Return what a module has under a name with dots, or None."""
    for part in name.split("."):
        module = getattr(module, part, None)
    return module
