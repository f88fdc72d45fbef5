"""Walking a Python object and everything that it computes with; see :mod:`robench.models.identity`."""

from __future__ import annotations

import builtins
import enum
import functools
import hashlib
import logging
import os
import sys
import types
from collections.abc import Iterable, Mapping
from pathlib import PurePath
from typing import Any

import numpy as np
import torch
from torch import nn

from robench.models.bytecode import Code, read_code
from robench.models.provenance import found_in, is_library, is_native, of_library, version

_PLAIN = (
    type(None), bool, int, float, complex, str, bytes, type(...), type(NotImplemented), range, slice, PurePath,
    torch.dtype, torch.device, torch.Size, torch.layout, torch.memory_format, np.dtype, np.generic,
)  # fmt: skip
# Of nn.Module's other attributes only these hooks have an effect in evaluation mode.
_HOOKS = ("_forward_hooks", "_forward_pre_hooks")
_INTERNAL = frozenset(nn.Module().__dict__) - {"_parameters", "_buffers", "_modules", *_HOOKS}
# A traced module's graph describes its forward(), which is walked itself.
_TRACED = frozenset({"_graph", "_code", "_lineno_map", "_prologue_start", "meta", "_graph_cls", "_tracer_cls"})
_NOT_CALLED = frozenset({
    "__init__", "__new__", "__repr__", "__str__", "__reduce__", "__reduce_ex__", "__getstate__", "__setstate__",
    "__del__", "__init_subclass__", "__set_name__", "__deepcopy__", "__copy__", "__dir__", "__class_getitem__",
})  # fmt: skip
_NOT_CODE = frozenset({
    "__dict__", "__weakref__", "__module__", "__doc__", "__annotations__", "__qualname__", "__firstlineno__",
    "__static_attributes__", "__slots__", "__dataclass_fields__", "__dataclass_params__", "__match_args__",
    "__orig_bases__", "__parameters__", "__abstractmethods__", "_abc_impl", "__annotate__", "__type_params__",
    "__annotate_func__", "__annotations_cache__", "__classdictcell__",
})  # fmt: skip

_MISSING = object()


class Walk:
    """One pass over an object and everything that it computes with.

    Args:
        names: attributes of classes to walk, besides special methods.
        weights: whether tensors are hashed.
    """

    def __init__(self, names: frozenset[str], *, weights: bool) -> None:
        self.digest = hashlib.sha256()
        self.unproven: set[str] = set()
        self.names: set[str] = set(names)
        self._wanted, self._weights = names, weights
        self._seen: dict[int, int] = {}
        self._kept: list[Any] = []  # keeps objects alive, so that addresses are not reused

    def run(self, function: Any) -> None:
        """Walk all of it."""
        try:
            self._walk(function)
        except RecursionError:
            self.unproven.add("is nested too deeply")
        except Exception as error:  # attributes of foreign objects may raise anything
            self.unproven.add(f"cannot be read ({type(error).__name__}: {error})"[:200])

    def _say(self, *words: object) -> None:
        for word in words:
            data = word if isinstance(word, bytes) else str(word).encode(errors="surrogatepass")
            self.digest.update(b"%d:" % len(data) + data)

    def _walk(self, value: Any) -> None:
        if isinstance(value, enum.Enum):
            self._say("enum", type(value).__qualname__, value.name)
            self._walk(type(value))
        elif isinstance(value, _PLAIN):
            self._say(type(value).__name__, repr(value))
        elif type(value) is tuple:
            self._many("tuple", value)
        elif id(value) in self._seen:
            self._say("again", self._seen[id(value)])
        else:
            self._seen[id(value)] = len(self._seen)
            self._kept.append(value)
            self._object(value)

    def _many(self, kind: str, values: Iterable[Any]) -> None:
        found = list(values)
        self._say(kind, len(found))
        for value in found:
            self._walk(value)

    def _mapping(self, kind: str, values: Mapping[Any, Any]) -> None:
        self._many(kind, (part for pair in list(values.items()) for part in pair))

    def _object(self, value: Any) -> None:
        """Walk an object that is neither plain nor seen before."""
        if isinstance(value, torch.Tensor):
            self._tensor(value)
        elif isinstance(value, np.ndarray):
            self._array(value)
        elif isinstance(value, types.FunctionType):
            self._function(value)
        elif isinstance(value, type):
            self._class(value)
        elif isinstance(value, types.ModuleType):
            self._module_object(value)
        elif isinstance(value, torch.jit.ScriptModule):
            self.unproven.add("is a TorchScript module")
        elif isinstance(value, nn.Module):
            self._network(value)
        elif type(value) in (list, dict, set, frozenset, bytearray):
            self._container(value)
        elif not self._callable(value):
            self._instance(value)

    def _container(self, value: Any) -> None:
        if isinstance(value, dict):
            self._mapping("dict", value)
        elif isinstance(value, bytearray):
            self._say("bytearray", bytes(value))
        elif isinstance(value, list):
            self._many("list", value)
        elif all(isinstance(part, _PLAIN) for part in value):
            self._many(type(value).__name__, sorted(value, key=repr))  # the order differs between processes
        else:
            self.unproven.add("holds a set of objects")

    def _tensor(self, value: torch.Tensor) -> None:
        self._say("tensor", value.dtype, tuple(value.shape))
        if not self._weights:
            return
        try:
            dense = value.detach().cpu().contiguous()
            self.digest.update(dense.reshape(-1).view(torch.uint8).numpy().tobytes() if dense.numel() else b"")
        except (RuntimeError, TypeError, NotImplementedError):  # sparse, quantised or meta tensors
            self.unproven.add(f"holds a tensor that cannot be read ({value.layout}, {value.dtype}, {value.device})")

    def _array(self, value: np.ndarray[Any, Any]) -> None:
        if value.dtype.hasobject:
            self.unproven.add("holds an array of objects")
        self._say("array", value.dtype.str, value.shape)
        if self._weights and not value.dtype.hasobject:
            self.digest.update(np.ascontiguousarray(value).tobytes())

    def _function(self, value: types.FunctionType) -> None:
        compiled = value.__dict__.get("_torchdynamo_orig_callable")  # compiled by torch.compile
        if compiled is not None:
            self._walk(compiled)
            return
        module = sys.modules.get(value.__module__ or "")
        if is_library(value.__code__.co_filename):
            self._say("function of", value.__module__, value.__qualname__, version(value.__module__))
            if found_in(module, value.__qualname__) is value:
                return
        else:
            self._say("function")
            self._code(read_code(value), value.__globals__)
        self._many("defaults", value.__defaults__ or ())
        self._mapping("keywords", value.__kwdefaults__ or {})
        for cell in value.__closure__ or ():
            try:
                self._walk(cell.cell_contents)
            except ValueError:
                self.unproven.add("closes over a variable without a value")
        self._mapping("attributes", value.__dict__)

    def _code(self, code: Code, space: Mapping[str, Any]) -> None:
        self._say(*code.words)
        self._many("constants", code.constants)
        self.names |= code.attributes
        self.unproven |= {f"calls '{name}'" for name in code.outside}
        for name in code.imports:
            module = sys.modules.get(name)
            self._module_object(module) if module else self.unproven.add(f"imports '{name}' when it is called")
        for chain in code.variables:
            value: Any = space.get(chain[0], getattr(builtins, chain[0], _MISSING))
            for name in chain[1:]:
                if not isinstance(value, types.ModuleType):
                    break
                value = getattr(value, name, _MISSING)
            self._say("variable", *chain)
            if value is _MISSING:
                self.unproven.add(f"uses '{'.'.join(chain)}', which has no value yet")
            else:
                self._walk(value)

    def _module_object(self, value: types.ModuleType) -> None:
        self._say("module", value.__name__, version(value.__name__))
        file = getattr(value, "__file__", None)
        if file is not None and not is_library(file):
            self.unproven.add(f"uses the module '{value.__name__}' as a value")

    def _class(self, value: type) -> None:
        if of_library(value):
            self._say("class of", value.__module__, value.__qualname__, version(value.__module__))
            self._patched(value)
            return
        self._say("class")
        self._many("bases", value.__bases__)
        if type(value) is not type and not of_library(type(value)):
            self._walk(type(value))
        for name, part in sorted(vars(value).items()):
            special = name.startswith("__") and name.endswith("__")
            if name not in _NOT_CODE and (name not in _NOT_CALLED if special else self._wanted & {name, "*"}):
                self._say("member", name)
                self._member(part)

    def _patched(self, value: type) -> None:
        """Walk a forward() patched into a class of an installed package."""
        function = getattr(value, "forward", None) if issubclass(value, nn.Module) else None
        if isinstance(function, types.FunctionType) and not is_library(function.__code__.co_filename):
            self._walk(function)

    def _member(self, part: Any) -> None:
        if isinstance(part, (staticmethod, classmethod)):
            self._say(type(part).__name__)
            self._walk(part.__func__)
        elif isinstance(part, property):
            self._many("property", (part.fget, part.fset))
        elif isinstance(part, functools.cached_property):
            self._walk(part.func)
        elif not isinstance(part, (types.MemberDescriptorType, types.GetSetDescriptorType)):
            self._walk(part)

    def _callable(self, value: Any) -> bool:
        """Walk an object that only calls another; return whether it is of such a kind."""
        if isinstance(value, functools.partial):
            self._walk(value.func)
            self._many("arguments", value.args)
            self._mapping("keywords", value.keywords)
        elif isinstance(value, types.MethodType):
            self._walk(value.__func__)
            self._walk(value.__self__)
        elif isinstance(value, (types.BuiltinFunctionType, types.MethodWrapperType)):
            self._builtin(value)
        elif isinstance(
            value, (types.MethodDescriptorType, types.WrapperDescriptorType, types.ClassMethodDescriptorType)
        ):
            self._say("built-in method", value.__objclass__.__qualname__, value.__name__)
        elif isinstance(value, np.ufunc):
            self._say("ufunc", value.__name__)
        elif isinstance(value, functools._lru_cache_wrapper):
            self._walk(value.__wrapped__)
        elif isinstance(value, (torch._ops.OpOverload, torch._ops.OpOverloadPacket)):
            self._say("operator", value)
        else:
            return False
        return True

    def _builtin(self, value: Any) -> None:
        owner = value.__self__
        self._say("built-in", value.__qualname__)
        if owner is not None and not isinstance(owner, types.ModuleType):
            self._walk(owner)
        elif owner is None or owner is not builtins:
            self._say(getattr(value, "__module__", None))

    def _network(self, value: nn.Module) -> None:
        self._say("network")
        if isinstance(value, torch._dynamo.eval_frame.OptimizedModule):
            self._walk(value._orig_mod)
            return
        self._walk(type(value))
        skipped = _INTERNAL | (_TRACED if isinstance(value, torch.fx.GraphModule) else frozenset())
        for name, part in value.__dict__.items():
            if name in _HOOKS:
                self._many(name, part.values())  # the keys are counters of the process
            elif name not in skipped:
                self._say("attribute", name)
                self._walk(part)

    def _instance(self, value: Any) -> None:
        kind = type(value)
        self._say("instance")
        self._walk(kind)
        if isinstance(value, logging.Logger) or value is os.environ:  # what reads it is unproven as it is
            return
        if any(is_native(base) for base in kind.__mro__[:-1]):
            self._reduced(value)
            return
        state = dict(getattr(value, "__dict__", {}))
        for base in kind.__mro__:
            slots = vars(base).get("__slots__", ())
            for name in (slots,) if isinstance(slots, str) else tuple(slots):
                if name not in ("__dict__", "__weakref__") and hasattr(value, name):
                    state[name] = getattr(value, name)
        self._mapping("state", state)

    def _reduced(self, value: Any) -> None:
        """Walk an object of a C class through what pickle would store."""
        try:
            found = value.__reduce_ex__(4)
        except Exception:  # the object's own code may raise anything
            found = None
        if not isinstance(found, tuple):
            self.unproven.add(f"holds a {type(value).__module__}.{type(value).__qualname__}")
            return
        self._many("state", found[:3])
        self._many("items", (list(part) for part in found[3:5] if part is not None))
