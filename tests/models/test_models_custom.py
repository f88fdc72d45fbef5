"""Files of the user's code: what lies beside a file is its own, whatever another file imported before."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch

from robench.models import Model, load_model

LAYERS = """\
from torch import nn
class Head(nn.Module):
    def forward(self, x):
        return {factor} * x.flatten(1)
"""
AT_ONCE = "from layers import Head\ndef make():\n    return Head()\n"
LATER = "def make():\n    from layers import Head\n    return Head()\n"
DATACLASS = """\
from __future__ import annotations
from dataclasses import dataclass
from layers import Head
@dataclass
class Config:
    width: int = 3
def make():
    return Head() if Config().width == 3 else None
"""


def written(folder: Path, source: str, factor: float = 1.0) -> str:
    folder.mkdir(exist_ok=True)
    (folder / "net.py").write_text(source)
    (folder / "layers.py").write_text(LAYERS.format(factor=factor))
    return f"python:{folder / 'net.py'}:make"


def factor_of(model: Model) -> float:
    return float(model.module(torch.ones(1, 3, 1, 1))[0, 0])


@pytest.fixture(autouse=True)
def nothing_imported() -> None:
    for name in ("net", "layers"):
        sys.modules.pop(name, None)


@pytest.mark.parametrize("source", [AT_ONCE, LATER, DATACLASS])
def test_files_of_one_name_beside_two_models_are_not_mixed_up(tmp_path: Path, source: str) -> None:
    places = list(sys.path)
    specs = [written(tmp_path / name, source, factor) for name, factor in (("a", 1.0), ("b", -2.0))]
    models = [load_model(spec, num_classes=3) for spec in (*specs, *specs)]
    assert [factor_of(model) for model in models] == [1.0, -2.0, 1.0, -2.0]
    assert models[0].hash == models[2].hash != models[1].hash == models[3].hash
    assert sys.path == places
    assert "net" not in sys.modules


def test_the_users_own_module_of_that_name_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written(tmp_path / "own", AT_ONCE, 5.0)
    monkeypatch.syspath_prepend(str(tmp_path / "own"))
    import layers  # type: ignore[import-not-found]

    assert factor_of(load_model(written(tmp_path / "a", LATER, 3.0), num_classes=3)) == 3.0
    assert sys.modules["layers"] is layers
    written(tmp_path / "b", "import sys\nfrom layers import Head\n1 / 0\n")
    with pytest.raises(Exception, match="fails when imported: ZeroDivisionError"):
        load_model(f"python:{tmp_path / 'b' / 'net.py'}:make", num_classes=3)
    assert sys.modules["layers"] is layers


def test_what_defines_a_class_counts_in_the_hash_wherever_its_module_went(tmp_path: Path) -> None:
    written(tmp_path / "own", AT_ONCE, 5.0)
    load_model(written(tmp_path / "own", AT_ONCE), num_classes=3)
    spec = written(tmp_path / "a", AT_ONCE)
    first = load_model(spec, num_classes=3).hash
    with (tmp_path / "a" / "layers.py").open("a") as file:
        file.write("# another\n")
    assert load_model(spec, num_classes=3).hash != first
