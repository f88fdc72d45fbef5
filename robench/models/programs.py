"""Programs that ``torch.export.save`` wrote (``.pt2``), read without running code from the file."""

from __future__ import annotations

import io
import json
import pickle
import re
import struct
import zipfile
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from robench.errors import RobenchError
from robench.models.base import Model, Preprocessing
from robench.models.checkpoints import file_hash
from robench.models.graphs import DTYPES, GraphBuilder, UnsupportedError
from robench.models.inputs import in_batches, in_grey_levels, is_channels_last, refuse_normalisation
from robench.models.normalisers import means_among
from robench.models.safe_reading import refuse_bomb, refuse_other_files

if TYPE_CHECKING:
    from robench.models.request import Request

_SCHEMA = 8
_DAMAGED = (
    zipfile.BadZipFile, OSError, EOFError, KeyError, TypeError, ValueError, IndexError, AttributeError, RuntimeError,
    NotImplementedError, MemoryError, zlib.error, struct.error,
)  # fmt: skip


class Program(nn.Module):
    """An exported program as a module from images (n, 3, H, W) to logits (n, K).

    Args:
        graph: its operations.
        dtype: of the images it was exported with; uint8: pixels from 0 to 255, which it normalises itself.
        shape: of the images it was exported with, None for variable sides; (n, 3, H, W) or (n, H, W, 3).
        least, most: images that it takes at a time; other batches are split, or padded with copies.
        num_classes: K, None if the file does not say.

    Attributes:
        normalises: the file's name of the mean that the program takes off its images; None: none is seen.
    """

    normalises: str | None = None

    def __init__(
        self,
        graph: nn.Module,
        dtype: torch.dtype,
        shape: tuple[int | None, ...],
        least: int,
        most: int | None,
        num_classes: int | None,
    ) -> None:
        super().__init__()
        self.graph, self.dtype, self.shape = graph, dtype, shape
        self.least, self.most, self.num_classes = least, most, num_classes

    @property
    def channels_last(self) -> bool:
        """Whether it takes images (n, H, W, 3)."""
        return is_channels_last(self.shape)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return the logits."""
        if self.channels_last:
            images = images.permute(0, 2, 3, 1)
        images = in_grey_levels(images) if self.dtype == torch.uint8 else images.to(self.dtype)
        return in_batches(self.graph, images, self.least, self.most)


def from_export(path: Path, request: Request) -> Model:
    """Load a ``torch.export`` program.

    Raises:
        RobenchError: as :func:`read_program`, an unknown number of classes, no program of colour images, or a
            normalisation given for one that takes uint8 images.
    """
    if not path.is_file():
        raise RobenchError(f"No such file: {path}", hint="Check the path in `model`.")
    refuse_other_files(path)
    program = read_program(path)
    classes, shape, pixels = program.num_classes or request.num_classes, program.shape, program.dtype == torch.uint8
    _refuse_other_inputs(program, path)
    if pixels:
        refuse_normalisation(path, request)
    if classes is None:
        raise RobenchError(f"The number of classes of {path} is not known.", hint="Give `num_classes`.")
    height, width = (shape[1:3] if program.channels_last else shape[2:]) if len(shape) == 4 else (None, None)
    size = (height, width) if height and width else None
    card = {"format": "torch.export", "file": path.name} | ({"layout": "NHWC"} if program.channels_last else {})
    preprocessing = Preprocessing(input_size=size, origin="file" if pixels else "default")
    return Model(path.stem, program, classes, preprocessing, file_hash(path), card)


def _refuse_other_inputs(program: Program, path: Path) -> None:
    kind, shape = program.dtype, program.shape
    if not kind.is_floating_point and kind != torch.uint8:
        raise RobenchError(
            f"{path} takes numbers of type {str(kind).removeprefix('torch.')}; expected float images (or uint8 ones).",
            hint="Export the classifier alone, from normalised images to logits.",
        )
    if len(shape) == 4 and not program.channels_last and shape[1] not in (3, None):
        raise RobenchError(
            f"{path} takes images of shape {shape}; expected 3 channels, (n, 3, H, W) or (n, H, W, 3).",
            hint="Export a classifier of colour images.",
        )


def read_program(path: Path) -> Program:
    """Read a program of tensor operators.

    Nothing in the file is unpickled beyond tensors, evaluated or executed; see :mod:`robench.models.graphs`.

    Raises:
        RobenchError: no such program, damaged, or one that needs more than tensor operators.
    """
    try:
        refuse_bomb(path)
        with zipfile.ZipFile(path) as archive:
            return _Reader(archive).program()
    except (UnsupportedError, pickle.UnpicklingError) as error:
        what = str(error) if isinstance(error, UnsupportedError) else "holds pickled objects other than tensors"
        again = "Call model.eval() and export it again" if "training mode" in what else "Export a plain classifier"
        raise RobenchError(
            f"{path} {what}: robench runs nothing but tensor operators from a file.",
            hint=f"{again}, or, if you trust the file, load it in a custom function: `model='python:FILE.py:FUNCTION'`",
        ) from error
    except _DAMAGED as error:
        lines = str(error).strip().splitlines()
        raise RobenchError(
            f"{path} is not a torch.export program that robench can read"
            f" ({type(error).__name__}: {lines[0][:160] if lines else ''}).",
            hint="Save it again with torch.export.save of PyTorch 2.9 or later.",
        ) from error


class _Reader:
    """Reads the archive: ``NAME/models/model.json`` describes the graph, ``NAME/data`` holds the tensors."""

    def __init__(self, archive: zipfile.ZipFile) -> None:
        self._archive = archive
        tops = [
            name.removesuffix("models/model.json") for name in archive.namelist() if name.endswith("/models/model.json")
        ]
        if len(tops) != 1:
            raise ValueError(f"{len(tops)} programs in it")
        self._top = tops[0]
        self._flat: dict[tuple[str, str], torch.Tensor] = {}
        self._named: dict[str, torch.Tensor] = {}

    def program(self) -> Program:
        """Return the program."""
        document = self._json("models/model.json")
        version = document["schema_version"]["major"]
        if version != _SCHEMA:
            raise ValueError(f"its format is version {version}, not {_SCHEMA}")
        graph, signature = document["graph_module"]["graph"], document["graph_module"]["signature"]
        root = nn.Module()
        builder = GraphBuilder(root)
        image = self._bind_inputs(builder, root, graph, signature["input_specs"])
        for node in graph["nodes"]:
            builder.node(node)
        output = _only_output(signature["output_specs"])
        meta = graph["tensor_values"][image]
        shape = tuple(size.get("as_int") for size in meta["sizes"])
        least, most = _batch_bounds(meta["sizes"][0], document.get("range_constraints") or {})
        classes = graph["tensor_values"].get(output, {}).get("sizes", [{}])[-1].get("as_int")
        program = Program(builder.finish(output), DTYPES[meta["dtype"]], shape, least, most, classes)
        program.normalises = next(iter(means_among(self._named)), None)
        return program

    def _bind_inputs(
        self, builder: GraphBuilder, root: nn.Module, graph: dict[str, Any], specs: list[dict[str, Any]]
    ) -> str:
        """Register tensors with ``root`` under generated names; return the name of the images."""
        tensors = {**self._tensors("weights", "weight_"), **self._tensors("constants", "tensor_")}
        images = []
        for position, spec in enumerate(specs):
            ((kind, given),) = spec.items()
            if kind == "user_input":
                images.append(given["arg"]["as_tensor"]["name"])
                builder.image(images[-1])
            elif kind in ("parameter", "buffer", "tensor_constant"):
                name = f"tensor_{position}"
                root.register_buffer(name, tensors[given[f"{kind}_name"]])
                self._named[given[f"{kind}_name"]] = tensors[given[f"{kind}_name"]]
                builder.tensor(given["arg"]["name"], name)
            else:
                raise UnsupportedError(f"has an input of kind '{kind}'")
            if len(images) > 1:
                break
        if len(images) != 1:
            raise UnsupportedError("takes more than one input" if images else "takes no images")
        return str(images[0])

    def _tensors(self, folder: str, prefix: str) -> dict[str, torch.Tensor]:
        config = self._json(f"data/{folder}/model_{folder}_config.json")["config"]
        return {name: self._tensor(folder, prefix, entry) for name, entry in config.items()}

    def _tensor(self, folder: str, prefix: str, entry: dict[str, Any]) -> torch.Tensor:
        file = entry["path_name"]
        if not file.startswith(prefix):
            raise UnsupportedError("holds pickled objects other than tensors")
        if entry["use_pickle"]:
            found = torch.load(io.BytesIO(self._bytes(f"data/{folder}/{file}")), map_location="cpu", weights_only=True)
            if not isinstance(found, torch.Tensor):
                raise UnsupportedError("holds pickled objects other than tensors")
            return found.detach()
        meta = entry["tensor_meta"]
        sizes = [size["as_int"] for size in meta["sizes"]]
        dtype = DTYPES[meta["dtype"]]
        if 0 in sizes:
            return torch.zeros(sizes, dtype=dtype)
        strides = [stride["as_int"] for stride in meta["strides"]]
        # as_strided refuses what lies beyond the bytes of the file.
        return self._storage(folder, file, dtype).as_strided(sizes, strides, meta["storage_offset"]["as_int"])

    def _storage(self, folder: str, file: str, dtype: torch.dtype) -> torch.Tensor:
        """Return a file's values in a row; tensors that share a file share its memory."""
        if (folder, file) not in self._flat:
            data = bytearray(self._bytes(f"data/{folder}/{file}"))
            self._flat[folder, file] = torch.frombuffer(data, dtype=dtype)
        found = self._flat[folder, file]
        return found if found.dtype == dtype else found.view(dtype)

    def _json(self, name: str) -> dict[str, Any]:
        document = json.loads(self._bytes(name))
        if not isinstance(document, dict):
            raise TypeError(f"{name} is not a mapping")
        return document

    def _bytes(self, name: str) -> bytes:
        return self._archive.read(self._top + name)


def _only_output(specs: list[dict[str, Any]]) -> str:
    outputs = [spec["user_output"]["arg"] for spec in specs if "user_output" in spec]
    if any("buffer_mutation" in spec or "parameter_mutation" in spec for spec in specs):
        raise UnsupportedError("was exported in training mode (it changes its buffers)")
    if len(outputs) != 1 or "as_tensor" not in outputs[0]:
        raise UnsupportedError(f"gives {len(outputs)} outputs instead of one tensor of logits")
    return str(outputs[0]["as_tensor"]["name"])


def _batch_bounds(size: dict[str, Any], constraints: dict[str, Any]) -> tuple[int, int | None]:
    """Return how many images the program takes at a time, at least and at most (None: no bound)."""
    if "as_int" in size:
        return size["as_int"], size["as_int"]
    symbol = re.fullmatch(r"(?:Symbol\(')?(\w+)(?:'[^()]*\))?", size["as_expr"]["expr_str"])
    bounds = constraints.get(symbol[1], {}) if symbol else {}
    least, most = bounds.get("min_val"), bounds.get("max_val")
    return max(1, least or 1), most if isinstance(most, int) and most < 1 << 30 else None
