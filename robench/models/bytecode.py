"""What a function's bytecode holds: operations, constants, the variables it reads and the attributes it names."""

from __future__ import annotations

import dis
import types
from collections.abc import Iterator
from dataclasses import dataclass

# Built-in functions and modules whose results depend on more than their arguments.
_OUTSIDE = frozenset({"open", "exec", "eval", "compile", "__import__", "input", "globals", "breakpoint"})
_OUTSIDE_MODULES = frozenset({
    "os", "io", "subprocess", "socket", "urllib", "http", "requests", "shutil", "tempfile", "shelve", "sqlite3",
})  # fmt: skip
_LOADERS = frozenset({"load", "loads", "loadtxt", "fromfile", "memmap", "open", "imread"})
_READERS = frozenset({"read_text", "read_bytes"})
# With these, a method can be called by a name that does not occur in the code.
_BY_NAME = frozenset({"getattr", "vars", "locals", "dir", "methodcaller", "attrgetter"})
_NESTED = 0x10  # the flag of a function that is defined in another
_ATTRIBUTES = ("LOAD_ATTR", "LOAD_METHOD", "LOAD_SUPER_ATTR")


@dataclass(frozen=True)
class Code:
    """A function's code, with that of the functions defined in it.

    Args:
        words: operations and their operands, without names of local variables, files and lines.
        constants: literal values in the code.
        variables: global names that it reads, with the attributes read of them: ``("torch", "nn", "Linear")``.
        attributes: names of all attributes that it reads.
        imports: modules that it imports when it is called.
        outside: what it calls that reads files, the environment or other machines.
    """

    words: tuple[object, ...]
    constants: tuple[object, ...]
    variables: tuple[tuple[str, ...], ...]
    attributes: frozenset[str]
    imports: tuple[str, ...]
    outside: tuple[str, ...]


def read_code(function: types.FunctionType) -> Code:
    """Return the contents of a function's code; nothing is run."""
    words: list[object] = []
    constants: list[object] = []
    chains: set[tuple[str, ...]] = set()
    attributes: set[str] = set()
    imports: set[str] = set()
    for code in _nested(function.__code__):
        flags = code.co_flags & ~_NESTED
        words += [code.co_code, code.co_exceptiontable, code.co_names, code.co_argcount, code.co_kwonlyargcount, flags]
        constants += [part for part in code.co_consts if not isinstance(part, types.CodeType)]
        for kind, chain in _reads(code):
            attributes.update(chain[1:] if kind == "variable" else chain if kind == "attribute" else ())
            if kind == "variable":
                chains.add(chain)
            elif kind == "import":
                imports.add(chain[0])
    if attributes & _BY_NAME or any(chain[0] in _BY_NAME for chain in chains):
        attributes.add("*")
    outside = (
        _outside(chains)
        | attributes & _READERS
        | {name for name in imports if name.partition(".")[0] in _OUTSIDE_MODULES}
    )
    return Code(
        tuple(words), tuple(constants), tuple(sorted(chains)), frozenset(attributes), tuple(sorted(imports)),
        tuple(sorted(outside)),
    )  # fmt: skip


def _outside(chains: set[tuple[str, ...]]) -> set[str]:
    return {
        ".".join(chain)
        for chain in chains
        if (len(chain) == 1 and chain[0] in _OUTSIDE)
        or (len(chain) > 1 and (chain[0] in _OUTSIDE_MODULES or chain[-1] in _LOADERS))
    }


def _nested(code: types.CodeType) -> Iterator[types.CodeType]:
    yield code
    for part in code.co_consts:
        if isinstance(part, types.CodeType):
            yield from _nested(part)


def _reads(code: types.CodeType) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Yield names that are read one of the other: of a global ``variable``, or ``attribute`` of anything else.

    An ``import`` has the module's name alone.
    """
    own = {step.argval for step in dis.get_instructions(code) if step.opname == "STORE_NAME"}  # in a class's body
    kind, chain = "attribute", tuple[str, ...]()
    for step in dis.get_instructions(code):
        if step.opname in _ATTRIBUTES:
            chain += (str(step.argval),)
            continue
        if step.opname in ("CACHE", "PRECALL", "EXTENDED_ARG"):
            continue
        if chain:
            yield kind, chain
        kind, chain = "attribute", ()
        if step.opname in ("LOAD_GLOBAL", "LOAD_NAME") and step.argval not in own:
            kind, chain = "variable", (str(step.argval),)
        elif step.opname == "IMPORT_NAME":
            yield "import", (str(step.argval),)
    if chain:
        yield kind, chain
