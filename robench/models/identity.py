"""Which computation a Python object is: a digest of all that its answer follows from, or that this cannot be told.

A module's weights do not say what it computes: its ``forward``, plain attributes, hooks, the functions that it calls
and what those close over count as well. All of them are walked, by content: names of variables, addresses and line
numbers do not matter; bytecode, constants, values and tensors do. Code of installed packages stands for itself by
name and version. What only C code knows, or what is read from files or the environment while images are classified,
cannot be told; then the identity is said to be unproven, with the reason.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from robench.models.walking import Walk


@dataclass(frozen=True)
class Identity:
    """Which computation an object is.

    Args:
        digest: SHA-256 of all that could be read of it; the same in every process.
        unproven: why the digest may not cover everything; empty: it does.
    """

    digest: str
    unproven: tuple[str, ...] = ()

    @property
    def proven(self) -> bool:
        """Whether two objects of this digest compute the same."""
        return not self.unproven

    def remark(self) -> dict[str, str]:
        """Return what a model's card says of it: nothing where the identity is proven."""
        return {"identity": f"unproven: it {'; '.join(self.unproven)}"} if self.unproven else {}


def identify(function: Callable[..., Any]) -> Identity:
    """Return the identity of a module or any other callable, in evaluation mode.

    >>> def scaled(factor):
    ...     return lambda x: factor * x
    >>> identify(scaled(2)) == identify(scaled(2)), identify(scaled(2)) == identify(scaled(3))
    (True, False)
    >>> identify(lambda x: open("/etc/hostname")).unproven
    ("calls 'open'",)
    """
    names: frozenset[str] = frozenset({"forward"})
    while True:  # methods count where some code that counts mentions their name
        walk = Walk(names, weights=False)
        walk.run(function)
        if walk.names <= names:
            break
        names = frozenset(walk.names | names)
    walk = Walk(names, weights=True)
    walk.run(function)
    return Identity(walk.digest.hexdigest(), tuple(sorted(walk.unproven)))


def unique() -> str:
    """Return an identity that no other object has, for one whose own cannot be proven."""
    return f"object:{uuid.uuid4().hex}"
