"""The script that makes the reference models: what it plans, and what it packs."""

from __future__ import annotations

import tarfile
from pathlib import Path
from types import ModuleType

import pytest

from robench.training import recipes
from robench.training.engine import needed

SCRIPTS = Path(__file__).parents[2] / "scripts"


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(SCRIPTS))
    import train_reference

    return train_reference


def _names(archives: list[Path]) -> list[str]:
    names: list[str] = []
    for path in archives:
        with tarfile.open(path) as archive:
            names += archive.getnames()
    return names


def _options(script: ModuleType, *words: str) -> object:
    return script.parse(["--data", "D", "--out", "O", *words])


def test_every_model_shares_network_and_data(script: ModuleType) -> None:
    assert len(script.MODELS) == 16
    for model in script.MODELS:
        recipe = recipes.load(model.recipe, list(model.settings))
        assert recipe.architecture == ("wrn-28-2" if model.name == "weak-augment" else "wrn-40-2")
        assert (recipe.data.dataset, recipe.num_classes) == ("cifar10", 10)
        assert bool(needed.networks(recipe)) == model.networks
        assert not model.branches or recipe.norm == "splitbn"


def test_networks_come_first_and_more_seeds_last(script: ModuleType) -> None:
    names = [script.label(*item) for item in script.plan(_options(script))]
    assert names[:2] == ["edsr", "cae"]
    assert names[-4:] == ["standard-seed2", "augmix-seed2", "standard-seed3", "augmix-seed3"]
    assert len(names) == len(set(names)) == 2 + 16 + 4
    few = script.plan(_options(script, "--only", "deepaugment", "--more-seeds"))
    assert [model.name for model, _ in few] == ["edsr", "cae", "deepaugment"]
    with pytest.raises(SystemExit, match="No model augmaxx"):
        script.plan(_options(script, "--only", "augmaxx"))


def test_packs_hold_what_is_finished_once(script: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    packing = script.packing
    monkeypatch.setattr(packing, "LARGEST", 10_000)
    out = tmp_path / "out"
    for name in ("one", "two", "unfinished"):
        folder = out / "models" / name
        folder.mkdir(parents=True)
        (folder / "card.yaml").write_text("name: x")
        (folder / "weights.safetensors").write_bytes(bytes(6000))
    (out / "models" / "unfinished" / "checkpoint.pt").write_bytes(b"x")
    result = out / "results" / "cifar10-c" / "one" / "result.json"
    result.parent.mkdir(parents=True)
    result.write_text("{}")
    (out / "summary.json").write_text("{}")
    first = packing.pack(out, ["one", "two", "unfinished"], tmp_path / "packs")
    held = _names(first)
    assert len(first) > 1
    assert len(held) == len(set(held))
    assert set(held) == {
        "models/one/card.yaml", "models/one/weights.safetensors", "results/cifar10-c/one/result.json",
        "models/two/card.yaml", "models/two/weights.safetensors", "summary.json",
    }  # fmt: skip
    (out / "models" / "unfinished" / "checkpoint.pt").unlink()
    second = packing.pack(out, ["one", "two", "unfinished"], tmp_path / "packs")
    assert not set(first) & set(second)
    late = {"models/unfinished/card.yaml", "models/unfinished/weights.safetensors"}
    assert set(_names(second)) == late | {"summary.json"}
