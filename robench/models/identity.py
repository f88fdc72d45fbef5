"""The identity of a computation: a digest of everything that a Python object's output depends on.

A module's weights do not determine what it computes: its ``forward``, plain attributes, hooks, the functions that it
calls and their closures count as well. All of them are walked by content: bytecode, constants, values and tensors
matter; variable names, addresses and line numbers do not. Code of installed packages is identified by name, version
and source file. State held by C code, and what is read from files or the environment at call time, cannot be covered;
the identity is then unproven, and says why.
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
        digest: SHA-256 of everything that could be read; the same in every process.
        unproven: reasons why the digest may not cover everything; empty if it does.
    """

    digest: str
    unproven: tuple[str, ...] = ()

    @property
    def proven(self) -> bool:
        """Whether two objects of this digest compute the same."""
        return not self.unproven

    def remark(self) -> dict[str, str]:
        """Return what a model's card says about it: nothing if the identity is proven."""
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
    while True:  # a method counts if code that counts mentions its name
        walk = Walk(names, weights=False)
        walk.run(function)
        if walk.names <= names:
            break
        names = frozenset(walk.names | names)
    walk = Walk(names, weights=True)
    walk.run(function)
    return Identity(walk.digest.hexdigest(), tuple(sorted(walk.unproven)))


def unique() -> str:
    """Return an identity shared with no other object, for one whose own is unproven."""
    return f"object:{uuid.uuid4().hex}"
