"""Results that others publish: what follows from the carried cells is what they print."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from robench.tables.living import robustbench, timm

DATA = Path(os.environ.get("ROBENCH_TEST_DATA", Path(__file__).parents[3] / "shared" / "data")) / "published"


def test_twelve_imagenet_mces_follow_from_the_cells() -> None:
    board = robustbench("imagenet-c")
    assert len(board.cells) == 12
    for model, entry in board.about["models"].items():
        assert 100 * board.mce(model) == pytest.approx(100 * entry["published_mce"], abs=0.01), model


@pytest.mark.parametrize(("suite", "count"), [("imagenet-c", 12), ("cifar10-c", 23), ("cifar100-c", 13)])
def test_mean_accuracies_follow_from_the_cells(suite: str, count: int) -> None:
    board = robustbench(suite)
    assert len(board.cells) == count
    assert all(len(cells) == 75 for cells in board.cells.values())
    for model, entry in board.about["models"].items():
        assert 100 * (1 - board.mean_error(model)) == pytest.approx(100 * entry["published_accuracy"], abs=0.0101), (
            model
        )


def test_sources_and_licences_are_named() -> None:
    for about in (robustbench("cifar10-c").about, timm()[0]):
        assert all(about[key] for key in ("source", "url", "date", "licence", "protocol", "images_kind"))


def test_timm_rows_are_fractions() -> None:
    about, rows = timm()
    assert len(rows) > 1000
    assert all(row[name] is None or 0 < row[name] < 1 for row in rows for name in about["sets"])


@pytest.mark.skipif(not DATA.is_dir(), reason="copies of the published files are not here (ROBENCH_TEST_DATA)")
def test_importing_again_gives_the_carried_files(tmp_path: Path) -> None:
    from robench.tables.importers.robustbench import import_robustbench
    from robench.tables.importers.timm import import_timm
    from robench.tables.locations import leaderboards

    for suite in import_robustbench(DATA / "robustbench", tmp_path, commit="x", date="y"):
        carried = leaderboards() / "published" / "robustbench" / f"{suite}.csv"
        assert (tmp_path / f"{suite}.csv").read_bytes() == carried.read_bytes()
    import_timm(DATA / "timm", tmp_path, commit="x", date="y")
    assert (tmp_path / "top1.csv").read_bytes() == (leaderboards() / "published" / "timm" / "top1.csv").read_bytes()
