"""The graph of an exported program, rebuilt from its description with tensor operators only.

``torch.export.load`` unpickles sample inputs, evaluates shape expressions and executes guards that stand in the file
as text. Here nothing of the file is unpickled, evaluated or executed: its description is data, the operators it names
are looked up in a list, and names in the graph are generated.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import fx, nn

# Operators as exported programs name them that PyTorch does not count among its core ones. None of them opens a file
# or calls back into Python. In-place forms (relu_) are allowed with them.
_NAMES = """\
_adaptive_avg_pool2d _assert_tensor_metadata _convolution _native_batch_norm_legit_no_training _softmax _log_softmax
_to_copy _unsafe_view absolute adaptive_avg_pool1d adaptive_avg_pool2d adaptive_avg_pool3d adaptive_max_pool1d
adaptive_max_pool2d all argsort avg_pool1d avg_pool2d avg_pool3d baddbmm batch_norm broadcast_to celu
channel_shuffle chunk clamp_max clamp_min clip column_stack concat concatenate contiguous conv1d conv2d conv3d
conv_transpose1d conv_transpose2d conv_transpose3d cosine_similarity cumprod detach detach_ diag diff divide dot
dropout dsplit einsum empty_like erfc expand_as eye feature_dropout fft_fft fft_fft2 fft_ifft fft_ifft2 fft_irfft
fft_irfft2 fft_rfft fft_rfft2 flatten floor_divide frobenius_norm glu greater greater_equal grid_sampler group_norm
hardshrink hardsigmoid hardswish hardtanh hsplit hstack im2col index_add index_copy instance_norm item kron
layer_norm lerp less less_equal lift_fresh lift_fresh_copy linalg_norm linalg_vector_norm linear linspace
log_sigmoid log_softmax logsumexp masked_fill matmul max_pool1d max_pool2d max_pool3d meshgrid mish movedim moveaxis
multiply mv narrow native_batch_norm new_empty new_full new_ones new_zeros norm not_equal numel ones ones_like outer
pad pixel_shuffle pixel_unshuffle prelu ravel reflection_pad2d relu6 repeat_interleave reshape reshape_as rms_norm
roll rot90 rsub scaled_dot_product_attention selu silu softmax softplus softshrink softsign split square
squeeze_copy stack std std_mean subtract swapaxes swapdims t take_along_dim tensor_split threshold tile to transpose
tril triu true_divide type_as unbind unflatten unfold upsample_bicubic2d upsample_linear1d upsample_nearest1d
upsample_trilinear3d var_mean view_as vsplit vstack zero zeros zeros_like
"""
_COMPOSITE = frozenset(_NAMES.split())
# Core by PyTorch's tag, but they allocate memory of any size, or need random numbers.
_REFUSED = frozenset({"resize", "empty_strided", "rand", "randn", "randperm", "native_dropout"})
_PLAIN: dict[str, Callable[..., Any]] = {
    **{f"_operator.{name}": getattr(operator, name) for name in (
        "add", "sub", "mul", "floordiv", "truediv", "mod", "pow", "neg", "pos", "eq", "ne", "lt", "le", "gt", "ge",
        "and_", "or_", "getitem",
    )},
    **{f"torch.{name}": getattr(torch, name) for name in (
        "sym_int", "sym_float", "sym_max", "sym_min", "sym_not", "sym_ite", "sym_sqrt",
    )},
}  # fmt: skip
# Numbers that the serialised form has for types and layouts (torch.export schema, version 8).
DTYPES = {
    1: torch.uint8, 2: torch.int8, 3: torch.int16, 4: torch.int32, 5: torch.int64, 6: torch.float16, 7: torch.float32,
    8: torch.float64, 10: torch.complex64, 11: torch.complex128, 12: torch.bool, 13: torch.bfloat16,
}  # fmt: skip
_FORMATS = {
    1: torch.contiguous_format, 2: torch.channels_last, 3: torch.channels_last_3d, 4: torch.preserve_format,
}  # fmt: skip
_STRIDED = 7


class UnsupportedError(Exception):
    """The program needs more than tensor operators; the message completes "the file ..."."""


def find_operator(target: str) -> Callable[..., Any]:
    """Return the operator that a node names, such as ``torch.ops.aten.relu.default``.

    Raises:
        UnsupportedError: it is not one that a classifier on tensors needs.
    """
    if target in _PLAIN:
        return _PLAIN[target]
    found = re.fullmatch(r"torch\.ops\.aten\.(\w+)\.(\w+)", target, re.ASCII)
    packet = getattr(torch.ops.aten, found[1], None) if found else None
    overload = getattr(packet, found[2], None) if found and isinstance(packet, torch._ops.OpOverloadPacket) else None
    if found is None or not isinstance(overload, torch._ops.OpOverload) or not _allowed(found[1], overload):
        raise UnsupportedError(f"calls '{target}'")
    return overload


def _allowed(name: str, overload: torch._ops.OpOverload) -> bool:
    base = name if name.startswith("__") else name.removesuffix("_")
    if base in _REFUSED:
        return False
    return base in _COMPOSITE or name in _COMPOSITE or torch.Tag.core in overload.tags or _core(base)


def _core(base: str) -> bool:
    packet = getattr(torch.ops.aten, base, None)
    if not isinstance(packet, torch._ops.OpOverloadPacket):
        return False
    return any(torch.Tag.core in getattr(packet, name).tags for name in packet.overloads())


class GraphBuilder:
    """Builds a graph module from the description of one.

    Args:
        root: holds the tensors, as attributes that :meth:`tensor` is given.
    """

    def __init__(self, root: nn.Module) -> None:
        self._root, self._graph = root, fx.Graph()
        self._values: dict[str, Any] = {}
        self._image: fx.Node | None = None
        self._device: fx.Node | None = None
        self._readers: dict[str, Callable[[Any], Any]] = {
            "as_none": lambda _: None,
            "as_tensor": self._named,
            "as_tensors": _many(self._named),
            "as_optional_tensor": self._optional,
            "as_optional_tensors": _many(self._optional),
            "as_scalar_type": lambda number: DTYPES[number],
            "as_memory_format": lambda number: _FORMATS[number],
            "as_layout": _layout,
            "as_device": lambda _: self._own_device(),
            "as_complex": lambda parts: complex(float(parts["real"]), float(parts["imag"])),
        }
        for kind, read in (("int", _int), ("float", float), ("bool", _bool)):
            symbol = partial(self._symbol, kind, read)
            self._readers |= {f"as_{kind}": read, f"as_{kind}s": _many(read)}
            self._readers |= {f"as_sym_{kind}": symbol, f"as_sym_{kind}s": _many(symbol)}
        self._readers["as_string"] = _string

    def image(self, name: str) -> None:
        """Take ``name`` as the images."""
        self._image = self._values[name] = self._graph.placeholder("images")

    def tensor(self, name: str, attribute: str) -> None:
        """Take ``name`` as a tensor of the root."""
        self._values[name] = self._graph.get_attr(attribute)

    def node(self, description: dict[str, Any]) -> None:
        """Add one operation."""
        function = find_operator(description["target"])
        args, kwargs = self._arguments(function, description["inputs"])
        if function is torch.ops.aten.view.default:
            # The same values, also for the strides of channels_last.
            function, kwargs = torch.ops.aten.reshape.default, {}
        value = self._graph.call_function(function, tuple(args), kwargs)
        outputs = description["outputs"]
        if len(outputs) == 1 and "as_tensors" not in outputs[0]:
            self._name(outputs[0], value)
            return
        parts = [{"as_tensor": part} for part in outputs[0]["as_tensors"]] if len(outputs) == 1 else outputs
        for position, part in enumerate(parts):
            if "as_none" not in part:
                self._name(part, self._graph.call_function(operator.getitem, (value, position)))

    def finish(self, output: str) -> fx.GraphModule:
        """Return the module that gives the value ``output``."""
        self._graph.output(self._values[output])
        return fx.GraphModule(self._root, self._graph, "Program")

    def _arguments(
        self, function: Callable[..., Any], inputs: list[dict[str, Any]]
    ) -> tuple[list[Any], dict[str, Any]]:
        schema = function._schema.arguments if isinstance(function, torch._ops.OpOverload) else None
        args: list[Any] = []
        kwargs: dict[str, Any] = {}
        for given in inputs:
            value, name = self._read(given["arg"]), given["name"]
            _refuse_training(function, name, value)
            here = schema[len(args)] if schema is not None and len(args) < len(schema) else None
            if schema is None or (not kwargs and here is not None and here.name == name and not here.kwarg_only):
                args.append(value)
            elif any(known.name == name for known in schema):
                kwargs[name] = value
            else:
                raise UnsupportedError(f"gives an operator an argument '{name}' that it does not have")
        return args, kwargs

    def _read(self, argument: dict[str, Any]) -> Any:
        ((kind, value),) = argument.items()
        if kind not in self._readers:
            raise UnsupportedError(f"holds an argument of kind '{kind.removeprefix('as_')}'")
        return self._readers[kind](value)

    def _name(self, output: dict[str, Any], value: fx.Node) -> None:
        ((kind, given),) = output.items()
        if kind == "as_tensor":
            self._values[given["name"]] = value
        elif kind in ("as_sym_int", "as_sym_float", "as_sym_bool"):
            self._values[given["as_name"]] = value
        else:
            raise UnsupportedError(f"has an operation that gives a '{kind.removeprefix('as_')}'")

    def _named(self, given: dict[str, Any]) -> Any:
        return self._values[given["name"]]

    def _optional(self, given: dict[str, Any]) -> Any:
        return self._named(given["as_tensor"]) if "as_tensor" in given else None

    def _symbol(self, kind: str, read: Callable[[Any], Any], given: dict[str, Any]) -> Any:
        return self._values[given["as_name"]] if "as_name" in given else read(given[f"as_{kind}"])

    def _own_device(self) -> fx.Node:
        """Return the device of the images: a program runs where they are, not where it was exported."""
        if self._device is None:
            assert self._image is not None  # programs without images are refused before their first operation
            self._device = self._graph.call_function(getattr, (self._image, "device"))
        return self._device


def _refuse_training(function: Callable[..., Any], name: str, value: Any) -> None:
    if name in ("training", "train") and value is True:
        raise UnsupportedError(f"was exported in training mode ({function})")


def _many(read: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda values: [read(value) for value in values]


def _int(value: Any) -> int:
    if type(value) is not int:
        raise TypeError(f"expected an integer, found {type(value).__name__}")
    return value


def _bool(value: Any) -> bool:
    if type(value) is not bool:
        raise TypeError(f"expected true or false, found {type(value).__name__}")
    return value


def _string(value: Any) -> str:
    if type(value) is not str:
        raise TypeError(f"expected a string, found {type(value).__name__}")
    return value


def _layout(number: int) -> torch.layout:
    if number != _STRIDED:
        raise UnsupportedError("holds sparse tensors")
    return torch.strided
