"""Two real processes, started as torchrun starts them, give the bytes of one."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import hypothesis
import pytest
import starting
from hypothesis import strategies as st
from small_suite import CELLS, SmallSuite, run_bytes, small_model

from robench.evaluation import EvaluationOptions, evaluate_suite
from robench.evaluation.pieces import Missing, Piece, share_out, split_cells, whole_of
from robench.suites import OpenOptions, open_suite
from robench.suites.base import Cell

SCRIPT = """
import json, os, sys
from pathlib import Path
sys.path.insert(0, {folder!r})
import torch
torch.set_num_threads(1)
import robench.evaluation.pieces as pieces
pieces.PIECE_IMAGES = 50
from robench.evaluation import EvaluationOptions
from robench.evaluation.distributed import evaluate_over_ranks
from small_suite import SmallSuite, small_model
suite = SmallSuite(broken={broken!r})
outcome, first = evaluate_over_ranks(small_model(), suite, sys.argv[1], EvaluationOptions("cpu", batch_size=25))
report = {{"failures": sorted(outcome.failures), "first": first, "read": len(suite.read)}}
Path(sys.argv[1] + f".rank{{os.environ['RANK']}}").write_text(json.dumps(report))
"""


def torchrun(tmp_path: Path, out: Path, broken: tuple[str, ...] = ()) -> list[dict[str, Any]]:
    """Run the script in two processes and return what each of them reports."""
    script = tmp_path / "script.py"
    script.write_text(SCRIPT.format(folder=str(Path(__file__).parent), broken=broken))
    done = starting.torchrun([str(script), str(out)])
    assert done.returncode == 0, done.stderr
    return [json.loads(Path(f"{out}.rank{rank}").read_text()) for rank in range(2)]


def test_two_ranks_give_the_bytes_of_one_process(tmp_path: Path) -> None:
    reports = torchrun(tmp_path, tmp_path / "two")
    alone = EvaluationOptions("cpu", batch_size=25)
    evaluate_suite(small_model(), SmallSuite(), tmp_path / "one", alone)
    assert run_bytes(tmp_path / "two") == run_bytes(tmp_path / "one")
    # 16 cells of 120 images in pieces of 50, 50 and 20: both ranks had about half of the 48.
    assert [report["first"] for report in reports] == [True, False]
    reads = [report["read"] for report in reports]
    assert sum(reads) == 48
    assert min(reads) >= 16
    assert not list((tmp_path / "two" / "parts").iterdir())


def test_an_unreadable_cell_fails_for_all_and_the_pieces_of_a_stopped_run_are_used(tmp_path: Path) -> None:
    reports = torchrun(tmp_path, tmp_path / "two", broken=("fog/2",))
    assert [report["failures"] for report in reports] == [["fog/2"], ["fog/2"]]
    alone = evaluate_suite(small_model(), SmallSuite(), tmp_path / "two", EvaluationOptions("cpu", batch_size=25))
    assert alone.fresh == ["fog/2"]


@hypothesis.given(
    sizes=st.lists(st.integers(1, 30000), min_size=1, max_size=30),
    processes=st.integers(1, 9),
    batch_size=st.sampled_from([1, 64, 256, 512, 7000]),
)
def test_pieces_cover_every_image_once_and_shares_are_even(sizes: list[int], processes: int, batch_size: int) -> None:
    cells = [Cell(str(i)) for i in range(len(sizes))]
    pieces = split_cells([Missing(cell, 0, size) for cell, size in zip(cells, sizes, strict=True)], batch_size)
    shares = share_out(pieces, processes)
    given = [piece for share in shares for piece in share]
    assert len(given) == len(pieces)
    assert set(given) == set(pieces)
    for i, cell in enumerate(cells):
        covered = [n for piece in pieces if piece.cell == cell for n in range(piece.start, piece.stop)]
        assert covered == list(range(sizes[i]))
        assert all(piece.start % batch_size == 0 for piece in pieces if piece.cell == cell)
    work = [sum(piece.passes for piece in share) for share in shares]
    assert max(work) - min(work) <= max(piece.passes for piece in pieces)


def test_a_piece_knows_its_size() -> None:
    assert Piece(CELLS[0], 10, 25).passes == 15
    assert Piece(CELLS[0], 10, 25, frames=31).passes == 15 * 31


@pytest.mark.parametrize(("condition", "frames"), [("translate", 16), ("rotate", 31)])
def test_pieces_of_sequences_hold_whole_batches_of_clips(condition: str, frames: int) -> None:
    """A piece has about as many images as one without clips, and its batches are those of a single process."""
    suite = open_suite("digits-p", options=OpenOptions(conditions=(condition,)))
    pieces = split_cells([whole_of(suite, cell) for cell in suite.suite.cells], 100)
    assert sum(piece.passes for piece in pieces) == 599 * frames
    assert len(pieces) == math.ceil(599 * frames / 5000)
    assert all(piece.start % (100 // frames) == 0 for piece in pieces)


@pytest.mark.parametrize("processes", [1, 3])
def test_nothing_to_do_is_shared_out_too(processes: int) -> None:
    assert share_out([], processes) == [[]] * processes
