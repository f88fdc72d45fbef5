"""Recipes: tables, overrides, digests, and recipes and methods that others add."""

from __future__ import annotations

import json
import os
import shlex
from dataclasses import MISSING, fields
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import starting
import torch
import yaml

import robench
from robench.errors import RobenchError
from robench.training import recipes
from robench.training.engine.artefacts import make_card
from robench.training.engine.loop import train
from robench.training.methods import METHODS, create, find, of
from robench.training.recipes import tables
from robench.training.recipes.digest import content, digest
from robench.training.recipes.schema import BeforePart, DataPart, OptimiserPart, Recipe

ROOT = Path(__file__).parents[2]
TINY = ["data.limit=100", "batch_size=25", "epochs=3", "weights=float32"]


def test_all_recipes_are_complete() -> None:
    names = recipes.names()
    assert len(names) > 100
    for name in names:
        recipe = recipes.load(name)
        assert recipe.norm in create(recipe.method, recipe.options).norms, name
        assert recipe.paper
        assert recipe.title
        assert recipe.name == name
    augmix = recipes.load("augmix-cifar10-wrn40-2")
    assert (augmix.epochs, augmix.batch_size, augmix.optimiser.weight_decay) == (100, 128, 5e-4)
    assert recipes.load("mixup-cifar100-wrn40-2").optimiser.weight_decay == 1e-4
    assert recipes.load("augmax-cifar100-resnet18-paper").options["consistency"] == 1.0


def test_every_recipe_names_a_network_that_can_be_built() -> None:
    from robench.models import architectures, networks

    loaded = [recipes.load(name) for name in recipes.names()]
    wanted = {(recipe.architecture, recipe.num_classes, recipe.norm) for recipe in loaded if recipe.num_classes}
    with torch.device("meta"):
        for architecture, classes, norm in sorted(wanted):
            module = networks.build(architecture, classes, norm=norm)
            dual = [part for part in module.modules() if isinstance(part, architectures.DualBatchNorm)]
            assert bool(dual) == (norm not in ("bn", "ibn")), architecture
    resnet = networks.build("resnet18", 5, norm="dubin")
    instance = [path for path, part in resnet.named_modules() if isinstance(part, architectures.DuBIN)]
    assert instance == [f"layer{stage}.{block}.bn1" for stage in (1, 2, 3) for block in (0, 1)]
    with architectures.routed(resnet, "auxiliary"):
        assert resnet(torch.zeros(2, 3, 64, 64)).shape == (2, 5)
    with pytest.raises(RobenchError, match="Unknown architecture"):
        networks.build("resnett", 5)


def test_recipes_of_a_data_set_are_those_that_train_on_it() -> None:
    every = {name: recipes.read(name)["data"]["dataset"] for name in recipes.names()}
    for data in ("digits", "imagenet", "tiny-imagenet", "cifar10", "images"):
        assert recipes.names(data) == [name for name, found in every.items() if found == data]
        assert recipes.names(data)
    assert recipes.short("deepaugment-augmix-digits", "digits") == "deepaugment-augmix"
    assert recipes.short("edsr-tiny-imagenet", "tiny-imagenet") == "edsr"


def test_overrides_and_mistakes(tmp_path: Path) -> None:
    recipe = recipes.load("augmix-digits", ["optimiser.lr=0.3", "options.jsd=false", "data.extra=[a, b]"])
    assert (recipe.optimiser.lr, recipe.options["jsd"], recipe.data.extra) == (0.3, False, ["a", "b"])
    for wrong, message in (
        ("epochz=3", "epochs"),
        ("optimiser.rate=1", "no field"),
        ("epochs", "KEY=VALUE"),
        ("epochs=many", "integer"),
        ("epochs=0", "epochs: input should be greater"),
        ("batch_size=0", "batch_size: input should be greater"),
        ("data.limit=0", "limit: input should be greater"),
        ("optimiser.lr=.nan", "lr: input should be a finite number"),
        ("optimiser.ema=1.5", "ema: input should be less"),
    ):
        with pytest.raises(RobenchError, match=message):
            recipes.load("augmix-digits", [wrong])
    with pytest.raises(RobenchError, match="Did you mean"):
        recipes.load("augmix-digit")
    own = tmp_path / "mine.yaml"
    own.write_text("extends: augmix-digits\nepochs: 2\ntitle: mine\n")
    assert (recipes.load(str(own)).epochs, recipes.load(str(own)).name) == (2, "mine")
    with pytest.raises(RobenchError, match="dubin"):
        train(recipes.load("augmax-digits", ["norm=splitbn", *TINY]), None, tmp_path / "x", quiet=True)
    for option, message in (("width=0", "width"), ("depth=0", "depth"), ("alpha=0", "alpha")):
        with pytest.raises(RobenchError, match=message):
            train(recipes.load("augmix-digits", [f"options.{option}", *TINY]), None, tmp_path / option, quiet=True)
    with pytest.raises(RobenchError, match="Unknown device 'gpu'"):
        train(recipes.load("standard-digits", TINY), None, tmp_path / "x", quiet=True, device="gpu")
    with pytest.raises(RobenchError, match="`data`"):
        train(recipes.load("standard-cifar10-wrn40-2"), None, tmp_path / "y", quiet=True)
    with pytest.raises(RobenchError, match="classes"):
        train(recipes.load("standard-digits", ["num_classes=5"]), None, tmp_path / "z", quiet=True)


def test_tables_lay_fields_over_each_other_in_order(tmp_path: Path) -> None:
    recipe = recipes.load("deepaugment-augmix-tiny-imagenet-resnet18")
    assert recipe.title == "DeepAugment with AugMix, ResNet-18, Tiny ImageNet"
    assert (recipe.epochs, recipe.optimiser.milestones, recipe.optimiser.lr) == (600, [300, 450], 0.1)
    assert recipe.method == "augmix"
    assert recipe.before == BeforePart(
        method="deepaugment", options={"networks": ["edsr-tiny-imagenet", "cae-tiny-imagenet"]}
    )
    parts = {"a": {"x": 1, "deep": {"p": 1, "q": 1}}, "b": {"extends": "a", "deep": {"q": 2}}}
    assert tables.flatten({"extends": ["a", "b"], "x": 3}, parts) == {"x": 3, "deep": {"p": 1, "q": 2}}
    own = tmp_path / "own.yaml"
    own.write_text("extends: [cifar100, wrn-40-2]\ntitle: 'mine on {data}'\npaper: none\nmethod: standard\n")
    assert recipes.load(str(own)).title == "mine on CIFAR-100"
    own.write_text("extends: [cifar1000]\n")
    with pytest.raises(RobenchError, match="No recipe or part 'cifar1000' to extend"):
        recipes.load(str(own))
    own.write_text("extends: standard-digits\ntitle: 'on {moon}'\n")
    with pytest.raises(RobenchError, match="moon"):
        recipes.load(str(own))
    own.write_text("[1, 2]")
    with pytest.raises(RobenchError):
        recipes.load(str(own))
    with pytest.raises(RobenchError, match="nothing"):
        recipes.load("nothing.yaml")


def test_no_part_is_called_like_a_recipe() -> None:
    parts = set(tables._parts())
    for entry in tables.tables().values():
        parts |= set(entry["parts"])
    assert not parts & set(recipes.names())


def test_digest_is_of_what_is_trained_and_of_nothing_else() -> None:
    augmix = recipes.load("augmix-cifar10-wrn40-2")
    same = (
        "seed=7", "title=other", "name=x", "notes=n", "data.dataset=cifar10-jpeg", "checkpoint_steps=50",
        "compile=true", "options.fill=0", "options.severity=3.0", "optimiser.nesterov=true", "precision=float32",
    )  # fmt: skip
    for setting in same:
        assert digest(recipes.load("augmix-cifar10-wrn40-2", [setting])) == digest(augmix), setting
    other = (
        "epochs=99", "options.width=2", "options.jsd=false", "data.limit=512", "architecture=wrn-10-1", "norm=dubn",
        "method=random-autoaugment", "precision=bf16", "weights=fp16", "data.extra=[a/b]", "optimiser.ema=0.9",
        "data.train_split=test", "before.method=cutout", "num_classes=11", "init=w.safetensors",
    )  # fmt: skip
    digests = {digest(recipes.load("augmix-cifar10-wrn40-2", [setting])) for setting in other} | {digest(augmix)}
    assert len(digests) == len(other) + 1
    here, there = (digest(recipes.load("augmix-digits", [f"data.extra=[{folder}/edsr]"])) for folder in ("a", "/b/c"))
    assert here == there


def test_a_split_in_a_file_counts_by_what_it_says(tmp_path: Path) -> None:
    said = "classes: [a, b]\niid: {year: '2019'}\nood: {old: {year: '2018'}}\n"
    places = [tmp_path / name for name in ("one.yaml", "two.yaml", "other.yaml")]
    for place, text in zip(places, (said, f"# the same\n{said}", said.replace("2018", "2017")), strict=True):
        place.write_text(text)
    one, two, other = (digest(recipes.load("svsf-resnet50", [f"data.definition={place}"])) for place in places)
    assert one == two != other


def test_recipes_that_differ_have_digests_that_differ() -> None:
    found: dict[str, list[str]] = {}
    for name in recipes.names():
        found.setdefault(digest(recipes.load(name)), []).append(name)
    assert [names for names in found.values() if len(names) > 1] == [["cae", "cae-imagenet"], ["edsr", "edsr-imagenet"]]
    before = content(recipes.load("deepaugment-augmix-digits"))["before"]
    assert before["options"]["networks"] == [digest(recipes.load(f"{name}-digits")) for name in ("edsr", "cae")]


def test_shipped_models_are_those_of_their_recipes() -> None:
    folders = sorted((ROOT / "reference_models").glob("*/*/card.yaml"))
    assert len(folders) >= 31
    for path in folders:
        card = yaml.safe_load(path.read_text())
        trained = Recipe.model_validate(yaml.safe_load(path.with_name("recipe.yaml").read_text()))
        words = shlex.split(card["command"])
        settings = [value for option, value in pairwise(words) if option == "--set"]
        assert trained == recipes.load(card["recipe"], settings), path
        assert card["recipe_digest"] == digest(trained), path


def _defaults() -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    for part in (Recipe, DataPart, OptimiserPart, BeforePart):
        known = part.model_fields.items()
        found[part.__name__] = {
            name: field.get_default(call_default_factory=True)
            for name, field in known
            if not (field.is_required() or name == "optimiser")
        }
    for name in METHODS:
        options = [field for field in fields(find(name)) if field.init]
        found[name] = {
            field.name: field.default_factory() if field.default is MISSING else field.default  # type: ignore[misc]
            for field in options
            if field.default is not MISSING or field.default_factory is not MISSING
        }
    return found


def test_no_default_has_changed_under_the_digests() -> None:
    """Defaults are not in a digest, so a changed one would let two different trainings share it."""
    recorded = json.loads(Path(__file__).with_name("defaults.json").read_text())
    now = json.loads(json.dumps(_defaults(), default=str))
    changed = [
        f"{part}.{name}: was {value}, is {now.get(part, {}).get(name)}"
        for part, values in recorded.items()
        for name, value in values.items()
        if now.get(part, {}).get(name) != value
    ]
    assert not changed, "give the option a new name, or raise robench.training.recipes.digest.VERSION"
    missing = [
        f"{part}.{name}" for part, values in now.items() for name in values if name not in recorded.get(part, {})
    ]
    assert not missing, "add the new defaults to tests/training/defaults.json"


PACKAGE = """
from dataclasses import dataclass
from pathlib import Path
import torch
from robench.training import Batch, OneView

@dataclass
class Negative(OneView):
    share: float = 1.0

    def view(self, batch: Batch) -> torch.Tensor:
        return 1.0 - self.share * batch.view().float() / 255.0

RECIPE = {"extends": "standard-digits", "title": "Negatives", "method": "negative", "epochs": 1}
FILE = Path(__file__).with_name("gray.yaml")
"""


def test_a_package_adds_a_method_and_recipes(tmp_path: Path) -> None:
    (tmp_path / "somebody.py").write_text(PACKAGE)
    (tmp_path / "gray.yaml").write_text("extends: negative-digits\noptions: {share: 0.5}\n")
    information = tmp_path / "somebody-1.0.dist-info"
    information.mkdir()
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: somebody\nVersion: 1.0\n")
    (information / "entry_points.txt").write_text(
        "[robench.methods]\nnegative = somebody:Negative\n"
        "[robench.recipes]\nnegative-digits = somebody:RECIPE\ngray-digits = somebody:FILE\n"
    )
    paths = os.pathsep.join([str(tmp_path), str(Path(robench.__file__).parents[1])])
    environment = os.environ | {"PYTHONPATH": paths}
    arguments = ["train", "--recipe", "gray-digits", "--set", "data.limit=50", "--out", "out", "--quiet"]
    done = starting.run(["-m", "robench", *arguments], cwd=tmp_path, env=environment)
    assert done.returncode == 0, done.stderr
    trained = yaml.safe_load((tmp_path / "out" / "recipe.yaml").read_text())
    assert (trained["method"], trained["options"], trained["epochs"]) == ("negative", {"share": 0.5}, 1)
    assert trained["name"] == yaml.safe_load((tmp_path / "out" / "card.yaml").read_text())["recipe"] == "gray-digits"


def test_a_method_can_be_a_class_in_a_file(tmp_path: Path) -> None:
    code = tmp_path / "mine.py"
    code.write_text(PACKAGE)
    settings = [f"method=python:{code}:Negative", "options.share=0.5"]
    recipe = recipes.load("standard-digits", settings)
    assert create(recipe.method, recipe.options).share == 0.5  # type: ignore[attr-defined]
    copy = tmp_path / "copy.py"
    copy.write_text(PACKAGE)
    assert digest(recipes.load("standard-digits", [f"method=python:{copy}:Negative", settings[1]])) == digest(recipe)
    copy.write_text(PACKAGE + "# other\n")
    assert digest(recipes.load("standard-digits", [f"method=python:{copy}:Negative", settings[1]])) != digest(recipe)
    for wrong, message in (
        (f"python:{code}:Positive", "has no training method 'Positive'"),
        (f"python:{code}:RECIPE", "has no training method 'RECIPE'"),
        ("python:nowhere.py:X", "No such file"),
        ("python:X", "names no class"),
    ):
        with pytest.raises(RobenchError, match=message):
            find(wrong)


def test_what_comes_before_is_a_view() -> None:
    first, then = of(recipes.load("deepaugment-augmax-digits"))
    assert (type(first).__name__, type(then).__name__) == ("DeepAugment", "AugMax")
    with pytest.raises(RobenchError, match="augmax cannot come before another"):
        of(recipes.load("standard-digits", ["before.method=augmax"]))
    with pytest.raises(RobenchError, match="no option 'lenght'"):
        of(recipes.load("standard-digits", ["before.method=cutout", "before.options.lenght=3"]))
    with pytest.raises(RobenchError, match="no field"):
        recipes.load("standard-digits", ["before.methods=cutout"])


@pytest.mark.parametrize(
    ("recipe", "settings", "expected"),
    [
        ("augmix-cifar10-wrn40-2", [], "augmix-cifar10-wrn40-2"),
        ("augmix-cifar10-wrn40-2", ["epochs=3"], "augmix-cifar10-wrn40-2"),
        ("augmix-cifar10-wrn40-2", ["architecture=resnet-20"], "augmix-cifar10-resnet20"),
        ("standard-digits", ["architecture=wrn-16-1"], "standard-digits-wrn16-1"),
    ],
)
def test_a_card_names_the_network_that_was_trained(recipe: str, settings: list[str], expected: str) -> None:
    card = make_card(recipes.load(recipe, settings), "robench train", {})
    assert (card["name"], card["recipe"]) == (expected, recipe)


def test_assignments_without_effect_are_refused() -> None:
    for setting in ("optimiser.milestones=[3]", "optimiser.gamma=0.5"):
        with pytest.raises(RobenchError, match=r"has no effect with optimiser\.schedule=cosine"):
            recipes.load("augmix-digits", [setting])
        recipes.load("augmix-digits", [setting, "optimiser.schedule=step"])
    recipes.load("augmix-digits", ["optimiser.milestones=[]"])
    with pytest.raises(RobenchError, match=r"has no effect with optimiser\.schedule=step"):
        recipes.load("standard-imagenet-resnet50", ["optimiser.final_lr=0.001"])
    with pytest.raises(RobenchError, match=r"has no effect with data\.resized_crop"):
        recipes.load("standard-imagenet-resnet50", ["data.pad=4"])
    recipes.load("standard-imagenet-resnet50", ["data.pad=4", "data.resized_crop=null"])
