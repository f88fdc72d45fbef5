"""Lazy tables of names: a name maps to ``module:object`` and is imported when it is asked for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib import import_module
from typing import Any

from robench.errors import RobenchError, did_you_mean


class Registry:
    """Names of one kind (``suite``, ``recipe``, ``architecture``...) and where each is defined.

    Args:
        kind: what a name stands for, as it is called in an error message.
        entries: name -> ``"package.module:object"``.
    """

    def __init__(self, kind: str, entries: Mapping[str, str]) -> None:
        self.kind = kind
        self._entries = dict(entries)

    def add(self, name: str, target: str) -> None:
        """Add one name; a second definition of the same name is an error."""
        if self._entries.get(name, target) != target:
            raise ValueError(f"{self.kind} '{name}' is defined twice: {self._entries[name]} and {target}")
        self._entries[name] = target

    def get(self, name: str) -> Any:
        """Import and return the object behind ``name``.

        Raises:
            RobenchError: no such name; the message suggests the nearest ones.
        """
        if name not in self._entries:
            raise RobenchError(f"Unknown {self.kind} '{name}'.", hint=did_you_mean(name, self._entries))
        module, _, attribute = self._entries[name].partition(":")
        return getattr(import_module(module), attribute)

    def __contains__(self, name: object) -> bool:
        return name in self._entries

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)
