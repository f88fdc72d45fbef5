"""An installed package adds an architecture and a source of models through entry points; nothing of robench changes."""

from __future__ import annotations

import os
from pathlib import Path

import starting

import robench

_PACKAGE = '''
"""Somebody's package."""
import torch
from torch import nn
from robench.models import Model, Preprocessing


class Thin(nn.Module):
    def __init__(self, num_classes):
        super().__init__()
        self.head = nn.Linear(3, num_classes)

    def forward(self, x):
        return self.head(x.mean((2, 3)))


def thin(num_classes, norm="bn"):
    """A linear layer on mean colours."""
    return Thin(num_classes)


def from_zoo(name, request):
    """a model of the zoo"""
    return Model(name, Thin(request.num_classes or 10), request.num_classes or 10, Preprocessing(), "0" * 64)
'''
_ENTRIES = """\
[robench.architectures]
thin = somebody:thin

[robench.model_sources]
zoo = somebody:from_zoo
"""
_SCRIPT = """
import torch
from robench.models import load_model, networks
torch.save({"head.weight": torch.ones(4, 3), "head.bias": torch.zeros(4)}, "w.pth")
model = load_model("w.pth", arch="thin", num_classes=4, mean=(0, 0, 0), std=(1, 1, 1))
print(model.card["architecture"], model.module(torch.ones(1, 3, 8, 8)).tolist())
print(load_model("zoo:lion", num_classes=7).num_classes, type(networks.build("thin", 5)).__name__)
"""


def test_a_package_adds_an_architecture_and_a_source(tmp_path: Path) -> None:
    (tmp_path / "somebody.py").write_text(_PACKAGE)
    information = tmp_path / "somebody-1.0.dist-info"
    information.mkdir()
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: somebody\nVersion: 1.0\n")
    (information / "entry_points.txt").write_text(_ENTRIES)
    paths = os.pathsep.join([str(tmp_path), str(Path(robench.__file__).parents[1])])
    environment = os.environ | {"PYTHONPATH": paths}

    def run(*command: str) -> list[str]:
        answer = starting.run(command, cwd=tmp_path, env=environment)
        assert answer.returncode == 0, answer.stderr
        return answer.stdout.splitlines()

    assert run("-c", _SCRIPT) == ["thin [[3.0, 3.0, 3.0, 3.0]]", "7 Thin"]
    listed = "\n".join(run("-m", "robench", "models", "list", "--json"))
    assert '"zoo:...": "a model of the zoo"' in listed
    assert '"thin": "A linear layer on mean colours."' in listed
