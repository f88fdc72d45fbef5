"""One table of names for everything that can be extended: built-in entries, registered ones and entry points."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib import import_module
from typing import Generic, TypeVar, cast

from robench.errors import RobenchError, did_you_mean

T = TypeVar("T")


class Registry(Generic[T]):
    """Names of one kind (``metric``, ``suite``, ``method``...) and the object behind each.

    An object may be given as ``"package.module:attribute"``; it is then imported when it is asked for, so that a
    table of names costs nothing to load. Installed packages add names through the entry-point group, which is read
    when a name is not built in, or when all names are listed. A built-in name cannot be replaced.

    Args:
        kind: what a name stands for, as error messages call it.
        entries: name -> object, or ``"package.module:attribute"``.
        group: entry-point group that installed packages may add names through; None: closed to packages.

    >>> registry = Registry("fraction", {"half": 0.5, "pi": "math:pi"})
    >>> registry.register("third", 1 / 3)
    >>> registry.get("half"), round(registry.get("pi"), 2), list(registry)
    (0.5, 3.14, ['half', 'pi', 'third'])
    """

    def __init__(self, kind: str, entries: Mapping[str, T | str], *, group: str | None = None) -> None:
        self.kind = kind
        self.group = group
        self._entries: dict[str, T | str] = dict(entries)
        self._installed: dict[str, str] | None = None

    def register(self, name: str, target: T | str) -> None:
        """Add one name.

        Raises:
            RobenchError: the name is taken by something else.
        """
        if name in self and self._target(name) != target:
            raise RobenchError(f"The {self.kind} '{name}' is already defined.", hint="Choose another name.")
        self._entries[name] = target

    def get(self, name: str) -> T:
        """Return the object behind ``name``, imported where need be.

        Raises:
            RobenchError: unknown name (the message suggests the nearest ones), or a package's entry that cannot be
                imported.
        """
        if name not in self:
            raise RobenchError(f"Unknown {self.kind} '{name}'.", hint=did_you_mean(name, self))
        target = self._target(name)
        if not isinstance(target, str):
            return target
        module, _, attribute = target.partition(":")
        try:
            return cast(T, getattr(import_module(module), attribute))
        except (ImportError, AttributeError) as error:
            if name in self._entries:
                raise
            raise RobenchError(
                f"Could not load the {self.kind} '{name}' from {target}: {error}",
                hint="Update or uninstall the package that provides it.",
            ) from error

    def _target(self, name: str) -> T | str:
        return self._entries[name] if name in self._entries else self._from_packages()[name]

    def _from_packages(self) -> dict[str, str]:
        if self._installed is None:
            from importlib.metadata import entry_points  # some 20 ms

            found = entry_points(group=self.group) if self.group else ()
            self._installed = {entry.name: entry.value for entry in found}
        return self._installed

    def __contains__(self, name: object) -> bool:
        return name in self._entries or name in self._from_packages()

    def __iter__(self) -> Iterator[str]:
        yield from self._entries
        yield from (name for name in self._from_packages() if name not in self._entries)

    def __len__(self) -> int:
        return sum(1 for _ in self)
