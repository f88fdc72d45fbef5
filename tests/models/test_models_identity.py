"""The identity of callables and modules: what computes the answer is in it, and what cannot be told is said."""

from __future__ import annotations

import functools
import os
import subprocess
import sys
import threading
import types
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional

from robench.models import wrap
from robench.models.architectures import build
from robench.models.identity import identify

FACTOR = 1.0


def network(seed: int = 0) -> nn.Sequential:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 10))


class Scaled(nn.Module):
    """What an attribute changes and the weights do not show."""

    power = 1

    def __init__(self, temperature: float = 1.0, flip: bool = False, how: Callable[..., Any] = torch.relu) -> None:
        super().__init__()
        self.network, self.temperature, self.flip, self.how = network(), temperature, flip, how
        self.register_buffer("shift", torch.zeros(10), persistent=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        logits = self.network(x.flip(3) if self.flip else x) ** self.power
        return self.how(logits / self.temperature + self.shift)

    def save(self, path: str) -> None:
        """Keep the weights: it reads and writes, but computes no answer."""
        with open(path, "w") as file:
            file.write(os.environ["HOME"])


class Louder(Scaled):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return 2 * super().forward(x)


class Same(Scaled):
    """Its parent in all but the name and this line."""


def with_global(x: torch.Tensor) -> torch.Tensor:
    return FACTOR * x


def helper(x: torch.Tensor) -> torch.Tensor:
    return with_global(x)


@dataclass(frozen=True)
class Settings:
    width: int = 3
    names: tuple[str, ...] = ("a", "b")


class Configured(nn.Module):
    def __init__(self, settings: Settings) -> None:
        super().__init__()
        self.settings = settings
        self.lookup = {"one": [1, 2.5, None], "two": {3, 4}}

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * self.settings.width


def overridden(temperature: float) -> nn.Module:
    made = Scaled()
    made.forward = types.MethodType(lambda self, x: self.network(x) / temperature, made)  # type: ignore[method-assign]
    return made


def hooked(factor: float) -> nn.Module:
    made = network()
    made[0].register_forward_hook(lambda module, given, output: output * factor)
    return made


def defaults(factor: float) -> Callable[..., Any]:
    def scaled(x: torch.Tensor, factor: float = factor) -> torch.Tensor:
        return x * factor

    return scaled


def keyword(factor: float) -> Callable[..., Any]:
    def scaled(x: torch.Tensor, *, factor: float = factor) -> torch.Tensor:
        return x * factor

    return scaled


def decorated(factor: float) -> Callable[..., Any]:
    @torch.no_grad()
    @functools.wraps(helper)
    def scaled(x: torch.Tensor) -> torch.Tensor:
        return x * factor

    return scaled


def shifted(value: float) -> nn.Module:
    made = Scaled()
    made.shift.fill_(value)
    return made


def subclassed(factor: int) -> nn.Module:
    return type("Powered", (Scaled,), {"power": factor})()


A, B = network(1), network(2)
# Two of each that compute something else.
DIFFERENT: dict[str, tuple[Callable[[], Any], Callable[[], Any]]] = {
    "lambdas of networks": (lambda: lambda x: A(x), lambda: lambda x: B(x)),
    "lambdas of operations": (lambda: lambda x: x + 1, lambda: lambda x: x - 1),
    "lambdas of constants": (lambda: lambda x: x + 1, lambda: lambda x: x + 2),
    "bound methods": (lambda: A.forward, lambda: B.forward),
    "partials": (lambda: functools.partial(torch.mul, 2), lambda: functools.partial(torch.mul, 3)),
    "partials of networks": (lambda: functools.partial(A), lambda: functools.partial(B)),
    "weights": (lambda: network(1), lambda: network(2)),
    "plain attributes": (lambda: Scaled(1.0), lambda: Scaled(5.0)),
    "switches": (lambda: Scaled(), lambda: Scaled(flip=True)),
    "functions in attributes": (lambda: Scaled(), lambda: Scaled(how=torch.tanh)),
    "buffers outside of the state dict": (lambda: Scaled(), lambda: shifted(1.0)),
    "forward of a subclass": (lambda: Scaled(), lambda: Louder()),
    "class attributes": (lambda: subclassed(1), lambda: subclassed(3)),
    "overridden forward": (lambda: overridden(1.0), lambda: overridden(2.0)),
    "forward hooks": (lambda: hooked(1.0), lambda: hooked(2.0)),
    "no hook": (lambda: network(), lambda: hooked(2.0)),
    "defaults": (lambda: defaults(1.0), lambda: defaults(2.0)),
    "keyword defaults": (lambda: keyword(1.0), lambda: keyword(2.0)),
    "decorated functions": (lambda: decorated(1.0), lambda: decorated(2.0)),
    "settings": (lambda: Configured(Settings()), lambda: Configured(Settings(4))),
    "parts exchanged": (lambda: nn.Sequential(A, B), lambda: nn.Sequential(B, A)),
    "activations without weights": (lambda: nn.Sequential(nn.ReLU()), lambda: nn.Sequential(nn.GELU())),
    "options of layers": (lambda: nn.Sequential(nn.Softplus(1)), lambda: nn.Sequential(nn.Softplus(2))),
}


@pytest.mark.parametrize("kind", DIFFERENT)
def test_what_computes_another_answer_is_another_model(kind: str) -> None:
    first, second = DIFFERENT[kind]
    one, same, another = identify(first()), identify(first()), identify(second())
    assert one.proven, one.unproven
    assert one == same
    assert one.digest != another.digest
    assert wrap(first(), num_classes=10).hash != wrap(second(), num_classes=10).hash


def test_a_changed_global_variable_is_another_model(monkeypatch: pytest.MonkeyPatch) -> None:
    before = identify(helper)
    assert before == identify(helper)
    monkeypatch.setattr(sys.modules[__name__], "FACTOR", 2.0)
    assert identify(helper).digest != before.digest
    monkeypatch.undo()
    monkeypatch.setattr(sys.modules[__name__], "with_global", functional.relu)
    assert identify(helper).digest != before.digest


def test_a_changed_attribute_is_another_model() -> None:
    made = Scaled()
    before = identify(made).digest
    made.temperature = 2.0
    assert identify(made).digest != before
    made.temperature = 1.0
    assert identify(made).digest == before
    made.train(not made.training)  # the engine puts every model into evaluation mode
    assert identify(made).digest == before


def test_names_do_not_make_another_model() -> None:
    assert identify(Scaled()) != identify(Same())  # its bases are others
    assert identify(lambda x: A(x)) == identify(lambda images: A(images))


@pytest.mark.parametrize(
    "make",
    [
        lambda: build("wrn-10-1", 10, "dubin"),
        lambda: __import__("torchvision").models.resnet18(),
        lambda: __import__("torchvision").models.VisionTransformer(32, 16, 1, 2, 8, 16),
        lambda: __import__("timm").create_model("resnet10t"),
        lambda: __import__("timm").create_model("vit_tiny_patch16_224", img_size=32, depth=1),
        lambda: torch.fx.symbolic_trace(network()),
        lambda: nn.utils.parametrizations.weight_norm(nn.Linear(3, 3)),
        lambda: torch.compile(network()),
        lambda: torch.optim.swa_utils.AveragedModel(network()),
    ],
)
def test_networks_of_libraries_are_proven(make: Callable[[], nn.Module]) -> None:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        made = make()
    found = identify(made)
    assert found.proven, found.unproven
    assert identify(made) == found
    with torch.no_grad():
        next(iter(made.parameters())).view(-1)[0] += 1
    assert identify(made).digest != found.digest


class Locked:
    """Holds what only C code can read."""

    def __init__(self) -> None:
        self.lock = threading.Lock()

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        with self.lock:
            return x


def reads_a_file(x: torch.Tensor) -> torch.Tensor:
    return x * float(Path("factor.txt").read_text())


def loads(x: torch.Tensor) -> torch.Tensor:
    return x * torch.load("factor.pt")


def asks_the_environment(x: torch.Tensor) -> torch.Tensor:
    return x * float(os.environ["FACTOR"])


def imports(x: torch.Tensor) -> torch.Tensor:
    from tests.models.absent import factor  # type: ignore[import-not-found]

    return x * factor


def undefined(x: torch.Tensor) -> torch.Tensor:
    return x * LATER  # type: ignore[name-defined]  # noqa: F821


@pytest.mark.parametrize(
    ("function", "why"),
    [
        (Locked(), "lock"),
        (reads_a_file, "read_text"),
        (loads, "torch.load"),
        (asks_the_environment, "os.environ"),
        (imports, "absent"),
        (undefined, "LATER"),
        ((lambda rows: lambda x: next(rows))(row for row in range(3)), "generator"),
        (lambda x: eval("x"), "eval"),
        (torch.jit.trace(network(), torch.zeros(1, 3, 8, 8)), "TorchScript"),
    ],
)
def test_what_cannot_be_told_never_shares_an_identity(function: Any, why: str) -> None:
    found = identify(function)
    assert not found.proven
    assert any(why in reason for reason in found.unproven), found.unproven
    first, second = wrap(function, num_classes=10), wrap(function, num_classes=10)
    assert not first.identity_proven
    assert first.hash != second.hash
    assert why in str(first.card["identity"])


def test_methods_that_compute_no_answer_do_not_count() -> None:
    assert identify(Scaled()).proven

    class Saving(Scaled):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            self.save("weights.txt")
            return super().forward(x)

    assert identify(Saving()).unproven == ("calls 'open'", "calls 'os.environ'")

    class ByName(Scaled):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            getattr(self, "sa" + "ve")("weights.txt")
            return super().forward(x)

    assert identify(ByName()).unproven == ("calls 'open'", "calls 'os.environ'")


def test_a_changed_file_of_an_installed_package_is_another_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from robench.models import provenance

    package = types.ModuleType("somebodys_package")
    package.__file__ = str(tmp_path / "somebodys_package.py")
    package.__version__ = "1.0+local"  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, package.__name__, package)
    found = []
    for content in ("a = 1", "a = 2"):
        (tmp_path / "somebodys_package.py").write_text(content)
        provenance.version.cache_clear()
        found.append(provenance.version("somebodys_package"))
    assert found[0] != found[1]
    assert all(version.startswith("1.0:") for version in found)


_SCRIPT = """
import sys
sys.path.insert(0, sys.argv[1])
import test_models_identity as t
from robench.models.identity import identify
for first, second in t.DIFFERENT.values():
    print(identify(first()).digest, identify(second()).digest)
"""


def test_identities_are_the_same_in_every_process() -> None:
    """In one of other hashes of strings, as in this one."""
    seed = "1" if os.environ.get("PYTHONHASHSEED") != "1" else "2"
    words = [sys.executable, "-c", _SCRIPT, str(Path(__file__).parent)]
    environment = os.environ | {"PYTHONHASHSEED": seed}
    answer = subprocess.run(words, env=environment, capture_output=True, text=True, check=True)
    found = answer.stdout.split()
    assert len(found) == 2 * len(DIFFERENT)
    assert found == [identify(make()).digest for pair in DIFFERENT.values() for make in pair]
