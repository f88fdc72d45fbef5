"""Triton's kernels give what the CPU's loops give, and without them tensor operations take over.

Triton's interpreter runs the kernels on the CPU, in a process of its own: whether it does is settled when the kernels
are imported. On a GPU ``test_corruptions_devices.py`` compares the compiled ones.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import warnings
from importlib import import_module
from importlib.util import find_spec
from types import SimpleNamespace

import pytest
import torch
from test_corruptions_common import photographs

from robench.corruptions import ALL, _device, _gpu, corrupt
from robench.corruptions.jpeg import roundtrip, roundtrip_tensor
from robench.corruptions.random import Stream

SEVERITIES = (1, 3, 5)
ROUNDED_OTHERWISE = {"defocus_blur", "frost", "gaussian_blur", "glass_blur", "spatter"}
"""Corruptions whose kernels may be a grey level from the loops: OpenCV has another order of sums, and for ``frost`` the
interpreter has no multiplication and addition with one rounding. All others give every bit."""
VARYING = {"k0", "k1", "draw", "reach", "iterations", "zooms", "halvings", "size", "used", "low", "span"}
"""Whole numbers that differ from call to call; Triton would compile again for those that are 1 or multiples of 16."""
MODULES = (
    *(f"robench.corruptions._gpu_{name}" for name in ("jpeg", "random", "warp", "weather")),
    "robench.training.ops.kernels_gpu",
)
"""All that have kernels."""
LAUNCHERS = {"params", "specialization", "options", "backend", "specialize_impl", "grid", "warmup", "stream", "device"}
"""Variables of the function that Triton writes for a kernel's arguments, and keywords of its launch."""
needs_triton = pytest.mark.skipif(find_spec("triton") is None, reason="needs Triton")


def _worst(name: str, images: torch.Tensor) -> tuple[int, float]:
    """Return the largest difference of the kernels from the loops, and the share of values that differ by over one."""
    index = torch.arange(len(images)) + (1 << 33)
    gaps = []
    for severity in SEVERITIES:
        usual = corrupt(images, name, severity, index=index)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(_device, "has_loops", lambda device: False)
            patch.setattr(_gpu, "WHERE", {"cpu"})
            made = corrupt(images, name, severity, index=index)
        gaps.append((usual.to(torch.int16) - made.to(torch.int16)).abs())
    gap = torch.stack(gaps)
    return int(gap.max()), float((gap > 1).float().mean())


def interpreted() -> None:
    """Compare everything, and print what was found as JSON."""
    images = photographs(2, 40)
    found: dict[str, object] = {name: [_worst(name, images), _worst(name, images[:1, :, :33, :38])] for name in ALL}
    usual = Stream(3, "numbers", index=torch.tensor([5, 1 << 40]))
    _device.has_loops, _gpu.WHERE = (lambda device: False), {"cpu"}
    stream = Stream(3, "numbers", index=torch.tensor([5, 1 << 40]))
    _device.has_loops = lambda device: device.type == "cpu" and not _gpu.WHERE
    for name, make in {
        "uniform": lambda s: s.uniform(2, (3, 5)),
        "normal": lambda s: s.normal(-1, (4099,)),
        "integers": lambda s: s.integers(7, -4, 9, (6, 3)),
    }.items():
        _gpu.WHERE = {"cpu"}
        made = make(stream)
        _gpu.WHERE = set()
        found[name] = torch.equal(made, make(usual))
    _gpu.WHERE, trips = {"cpu"}, []
    for height, width, quality in ((40, 40, 7), (33, 21, 85), (7, 5, 100)):
        part = images[:, :, :height, :width].contiguous()
        trips.append(torch.equal(roundtrip(part, quality), roundtrip_tensor(part, quality)))
    found |= {"round trips": trips, "failed": sorted(_gpu._failed)}
    print(json.dumps(found))


@needs_triton
@pytest.mark.slow  # half a minute: the interpreter runs programs one after another
def test_kernels_give_the_loops_images() -> None:
    done = subprocess.run(
        [sys.executable, __file__], env=os.environ | {"TRITON_INTERPRET": "1"}, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["failed"] == []
    assert found["uniform"]
    assert found["normal"]
    assert found["integers"]
    assert all(found["round trips"])
    for name in ALL:
        for largest, share in found[name]:
            assert share <= 0.001, name
            assert largest <= (1 if name in ROUNDED_OTHERWISE else 0), name


def _is_kernel(one: object) -> bool:
    return hasattr(one, "arg_names")


@needs_triton
def test_keys_and_strengths_compile_nothing_anew() -> None:
    kernels = [
        one
        for module in MODULES
        for one in vars(import_module(module)).values()
        if _is_kernel(one) and "BLOCK" in one.arg_names and "tl.program_id" in one.src
    ]
    assert len(kernels) >= 21
    for kernel in kernels:
        assert {param.name for param in kernel.params if param.is_constexpr} <= {"BLOCK", "KIND", "LUMA", "DOWN"}
        varying = VARYING | ({"chains", "steps", "step", "fill"} if "training" in kernel.module else set())
        assert all(param.do_not_specialize for param in kernel.params if param.name in varying), kernel


@pytest.mark.gpu
@pytest.mark.parametrize("name", ALL)
def test_no_kernel_fails_on_a_gpu(name: str) -> None:
    images = photographs(3, 64).cuda()
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        made = [corrupt(images, name, severity, index=torch.arange(3)) for severity in SEVERITIES]
    assert made[0].device == images.device
    assert not _gpu._failed


def test_a_kernel_that_fails_is_told_once(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []

    def fill(*arguments: object) -> torch.Tensor:
        calls.append(arguments)
        raise RuntimeError("Failed to find C compiler.\nPlease specify via CC.")

    monkeypatch.setattr(_gpu, "WHERE", {"cpu"})
    monkeypatch.setattr(_gpu, "_failed", set())
    monkeypatch.setattr(_gpu, "has_triton", lambda: True)
    monkeypatch.setattr(_device, "has_loops", lambda device: False)
    monkeypatch.setattr(_gpu, "import_module", lambda name: SimpleNamespace(fill=fill))
    stream = Stream(0, "a", index=torch.arange(3))
    with pytest.warns(RuntimeWarning, match=r"random.fill cannot be used here \(RuntimeError: Failed to find C comp"):
        first = stream.uniform(0, (4,))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert torch.equal(first, stream.uniform(0, (4,)))
    assert len(calls) == 1
    monkeypatch.setattr(_gpu, "WHERE", set())
    assert torch.equal(first, stream.uniform(0, (4,)))


def test_memory_that_runs_out_is_the_callers(monkeypatch: pytest.MonkeyPatch) -> None:
    def fill(*arguments: object) -> torch.Tensor:
        raise torch.cuda.OutOfMemoryError("out of memory")

    monkeypatch.setattr(_gpu, "WHERE", {"cpu"})
    monkeypatch.setattr(_gpu, "has_triton", lambda: True)
    monkeypatch.setattr(_gpu, "import_module", lambda name: SimpleNamespace(fill=fill))
    with pytest.raises(torch.cuda.OutOfMemoryError):
        _gpu.attempt(torch.device("cpu"), "random.fill")


def test_tables_are_uploaded_once_and_the_last_ones_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    made = []

    def table(number: int) -> torch.Tensor:
        made.append(number)
        return torch.tensor([number])

    monkeypatch.setattr(_gpu, "_kept", {})
    monkeypatch.setattr(_gpu, "_MOST_KEPT", 2)
    for number in (1, 2, 1, 3, 1, 2):
        assert _gpu.kept(torch.device("cpu"), number, lambda number=number: table(number)).item() == number
    assert made == [1, 2, 3, 2]


@needs_triton
@pytest.mark.parametrize("module", MODULES)
def test_no_argument_has_the_name_of_a_variable_in_tritons_own_launcher(module: str) -> None:
    kernels = {key: set(value.arg_names) for key, value in vars(import_module(module)).items() if _is_kernel(value)}
    assert kernels
    assert {key for key, names in kernels.items() if LAUNCHERS & names} == set()


@needs_triton
@pytest.mark.parametrize("module", MODULES)
def test_tritons_own_launcher_binds_every_argument(module: str) -> None:
    from triton.backends.compiler import GPUTarget
    from triton.compiler import make_backend

    bind = pytest.importorskip("triton.runtime.jit").create_function_from_signature
    backend = make_backend(GPUTarget("cuda", 90, 32))
    for name, kernel in vars(import_module(module)).items():
        if not _is_kernel(kernel):
            continue
        given = {param.name: 3 + param.num for param in kernel.params}
        with_options = given | {"num_warps": 4, "debug": False, "enable_fp_fusion": False}
        bound, kinds, options = bind(kernel.signature, kernel.params, backend)(**with_options)
        assert bound == given, name
        assert len(kinds) == len(given), name
        assert set(options) == {"num_warps", "debug", "enable_fp_fusion"}, name


@pytest.mark.parametrize("name", ["uniform", "normal"])
def test_few_numbers_are_made_on_the_host(name: str) -> None:
    stream = Stream(1, "b", index=torch.arange(4))
    assert torch.equal(getattr(stream, name)(3, (2,)), getattr(stream.on_host(), name)(3, (2,)))


if __name__ == "__main__":
    interpreted()
