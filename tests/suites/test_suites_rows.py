"""The table of suites: every row says all of its protocol itself, and packages add rows."""

from __future__ import annotations

import ast
import os
from dataclasses import FrozenInstanceError, fields, replace
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
import starting
import torch
from published_layouts import write_tree

import robench
from robench import suites
from robench.catalogue import row
from robench.corruptions.registered import CORRUPTIONS, register
from robench.corruptions.severities import BENCHMARK, EXTRA
from robench.errors import RobenchError
from robench.suites import Cell, OpenOptions, Suite
from robench.suites.definitions import SUITES
from robench.suites.opened import Found, OpenSuite
from robench.suites.protocols import CORRUPTIONS as PUBLISHED
from robench.suites.protocols import HELD_OUT, at_all_severities
from robench.suites.reading import view_of

THREE_D = Suite(
    name="imagenet-depth",
    title="ImageNet-3DCC: corruptions with a notion of depth",
    task="classification",
    dataset="imagenet",
    num_classes=1000,
    cells=(Cell("clean"), *at_all_severities(("fog_3d", "near_focus"))),
    summary=("clean", "corruption"),
    headline="mean_error",
    opener="robench.suites.trees:open_imagenet_c",
    benchmark=("fog_3d", "near_focus"),
    groups=(("weather", ("fog_3d",)), ("blur", ("near_focus",))),
    clean="clean",
    images=50_000,
    side=224,
    options=("severities", "clean"),
)


@pytest.fixture
def three_d(monkeypatch: pytest.MonkeyPatch) -> Suite:
    monkeypatch.setattr(SUITES, "_entries", dict(SUITES._entries))
    suites.register(THREE_D)
    return THREE_D


@pytest.mark.parametrize("name", suites.names())
def test_a_row_is_consistent(name: str) -> None:
    suite = suites.get(name)
    assert len(set(suite.cells)) == len(suite.cells)
    listed = {*suite.benchmark, *suite.held_out, *([suite.clean] if suite.clean else [])}
    assert listed == set(suite.conditions)
    assert not set(suite.benchmark) & set(suite.held_out)
    for _, members in suite.groups:
        assert set(members) <= set(suite.conditions)
    for table in (suite.images_of, suite.frames_of):
        assert {condition for condition, _ in table} <= set(suite.conditions)
    assert set(suite.options) <= {field.name for field in fields(OpenOptions)}
    module, _, function = suite.opener.partition(":")
    assert callable(getattr(import_module(module), function))
    row(suite.headline)


def test_the_published_numbers_are_in_the_rows() -> None:
    expected = {
        ("cifar10-c", "fog"): (10_000, 1),
        ("imagenet-c", "fog"): (50_000, 1),
        ("imagenet-p", "translate"): (50_000, 41),
        ("cifar10-p", "motion_blur"): (10_000, 21),
        ("cifar10-p", "translate"): (10_000, 16),
        ("cifar10-p", "spatter"): (10_000, 31),
        ("cifar10-sta", "worst_of_10"): (10_000, 10),
        ("imagenet-r", "imagenet-r"): (30_000, 1),
        ("imagenet-r", "imagenet-200"): (10_000, 1),
        ("imagenet-a", "clean"): (10_000, 1),  # of the 200 classes alone
        ("imagenet-v2", "clean"): (50_000, 1),
        ("cifar10.1", "v4"): (2_021, 1),
        ("dfr", "iid"): (None, 1),
    }
    for (name, condition), (images, frames) in expected.items():
        suite = suites.get(name)
        assert (suite.published_images(condition), suite.frame_count(condition)) == (images, frames)


@pytest.mark.parametrize(
    ("option", "heeded"),
    [
        ("split", {"clean"}),
        ("definition", {"svsf", "dfr", "imagenet-real", "objectnet"}),
        ("difficulty", {"digits-p", "cifar10-p", "cifar100-p", "imagenet-p"}),
        ("limit", set(suites.names())),
    ],
)
def test_a_suite_says_which_options_it_heeds(option: str, heeded: set[str]) -> None:
    assert {name for name in suites.names() if suites.get(name).takes(option)} == heeded
    with pytest.raises(ValueError, match="no field 'colour'"):
        suites.get("clean").takes("colour")


def test_no_headline_condition_is_optional() -> None:
    """CIFAR-P has spatter where ImageNet-C holds it out: without it a result is not one of the whole suite."""
    for name in suites.names():
        suite = suites.get(name)
        for source in suite.sources:
            needed = {Cell.parse(cell).condition for cell in suite.needed(source)}
            assert set(suite.benchmark) <= needed
    assert "clean" not in suites.get("imagenet-c").needed("published")
    assert "clean" in suites.get("imagenet-c").needed("generated")
    assert "iid" in suites.get("svsf").needed("published")


def test_no_code_asks_for_a_suites_name() -> None:
    """What depends on the suite stands in its row: a package's suite is treated as robench's own."""
    known, rows = set(suites.names()) - {"clean"}, {"rows_small.py", "rows_large.py"}
    found = []
    for path in Path(robench.__file__).parent.rglob("*.py"):
        if path.name in rows or path.parent.name == "importers":
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Compare):
                parts = [node.left, *node.comparators]
                texts = {n.value for part in parts for n in ast.walk(part) if isinstance(n, ast.Constant)}
                if texts & known and any(isinstance(n, ast.Attribute) and n.attr == "name" for n in parts):
                    found.append(f"{path}:{node.lineno}")
    assert found == []


def test_a_new_corruption_changes_no_suite() -> None:
    assert (PUBLISHED, HELD_OUT) == (BENCHMARK, EXTRA)
    rows = [suites.get(name) for name in suites.names()]
    before, cells = repr(rows), [len(suite.cells) for suite in rows]
    register("vignette", lambda images, parameters, stream: images, (1, 2, 3, 4, 5))
    try:
        rows = [suites.get(name) for name in suites.names()]
        assert (repr(rows), [len(suite.cells) for suite in rows]) == (before, cells)
        assert len(suites.open_suite("digits-c", options=OpenOptions(limit=1)).suite.cells) == 76
        with pytest.raises(RobenchError, match="has no condition 'vignette'"):
            suites.open_suite("digits-c", options=OpenOptions(conditions=("vignette",)))
    finally:
        CORRUPTIONS._entries.pop("vignette")


def test_a_registered_row_is_a_whole_suite(three_d: Suite, tmp_path: Path, squares: list[np.ndarray]) -> None:
    write_tree(tmp_path / "3dcc", squares, three_d.benchmark)
    result = robench.evaluate(
        lambda images: images.flatten(1)[:, :1000],
        "imagenet-depth",
        data=tmp_path / "3dcc",
        out=tmp_path / "run",
        name="first-pixels",
        resamples=10,
        quiet=True,
    )
    assert [cell.name for cell in result.cells] == [cell.name for cell in three_d.cells[1:]]
    assert result.summary[three_d.headline].value is not None
    assert {"mean_error_weather", "mean_error_blur"} <= set(result.summary)
    write_tree(tmp_path / "half", squares[:1], ("fog_3d",))
    with pytest.raises(RobenchError, match="lacks 1 of the conditions: near_focus"):
        suites.open_suite("imagenet-depth", tmp_path / "half")
    suites.register(three_d)  # the same again
    with pytest.raises(RobenchError, match="'imagenet-depth' is already defined"):
        suites.register(replace(three_d, version=2))


def test_an_installed_package_adds_a_suite(tmp_path: Path) -> None:
    (tmp_path / "somebody.py").write_text(
        "from robench.suites import Cell, Suite\n"
        "MINE = Suite(name='mine-c', title='Mine', task='classification', dataset='cifar10', num_classes=10,\n"
        "    cells=(Cell('dust', 1), Cell('dust', 2)), summary=('corruption',), headline='mean_error',\n"
        "    opener='somebody:find', benchmark=('dust',))\n"
        "def find(suite, data, options):\n"
        "    from robench.data import digits\n"
        "    from robench.suites import Found\n"
        "    from robench.suites.reading import view_of\n"
        "    images = digits.load('test')\n"
        "    return Found(suite, suite.cells, 'published', lambda cell: view_of(images), {'checksum': 'x'})\n"
        "OTHER = 3\n"
    )
    information = tmp_path / "somebody-1.0.dist-info"
    information.mkdir()
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: somebody\nVersion: 1.0\n")
    (information / "entry_points.txt").write_text(
        "[robench.suites]\nmine-c = somebody:MINE\nbroken-c = somebody:OTHER\ncifar10-c = somebody:MINE\n"
    )
    script = (
        "from robench import suites\n"
        "from robench.errors import RobenchError\n"
        "opened = suites.open_suite('mine-c', options=suites.OpenOptions(limit=5))\n"
        "print(len(suites.get('cifar10-c').cells), [opened.length(cell) for cell in opened.suite.cells])\n"
        "try: suites.get('broken-c')\n"
        "except RobenchError as error: print(error)\n"
        "from robench.cli.main import main\n"
        "main(['suites', 'show', 'mine-c'])\n"
    )
    paths = os.pathsep.join([str(tmp_path), str(Path(robench.__file__).parents[1])])
    done = starting.run(["-c", script], env={**os.environ, "PYTHONPATH": paths})
    assert done.returncode == 0, done.stderr
    assert "96 [5, 5]" in done.stdout
    assert "The entry point 'broken-c' is not a suite of this name: 3" in done.stdout
    assert "2: dust" in done.stdout


def test_an_open_suite_does_not_change() -> None:
    opened = suites.open_suite("digits-c", options=OpenOptions(conditions=("contrast",), limit=4))
    with pytest.raises(FrozenInstanceError):
        opened.remarks = ()  # type: ignore[misc]
    more = opened.with_options(OpenOptions(conditions=("contrast", "fog"), seed=3))
    assert (opened.length(Cell("clean")), more.length(Cell("clean"))) == (4, 599)
    assert (opened.protocol["seed"], more.protocol["seed"]) == (0, 3)
    assert len(more.suite.cells) == 11


def test_images_in_memory_become_a_suite_without_any_file() -> None:
    from robench.data import digits

    images, suite = digits.load("test"), suites.get("clean")
    opened = OpenSuite.of(Found(suite, suite.cells, "published", lambda _: view_of(images), {}))
    few = opened.with_options(OpenOptions(limit=3))
    (batch,) = few.batches(Cell("clean"), 8)
    assert batch.images.shape == (3, 3, 32, 32)
    assert torch.equal(batch.images, torch.from_numpy(images.read(batch.index)).permute(0, 3, 1, 2))
