"""Compiled loops leave PyTorch the number of threads it was given."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

CODE = """
import torch
{before}
import robench.compiled
from robench.corruptions import corrupt
corrupt(torch.zeros(64, 3, 32, 32, dtype=torch.uint8), "gaussian_noise", 3, index=torch.arange(64))
import numba
print(torch.get_num_threads(), numba.get_num_threads())
"""


@pytest.mark.parametrize(
    ("before", "environment", "expected"),
    [("", {"OMP_NUM_THREADS": "1"}, "1 1"), ("torch.set_num_threads(1)", {}, "1 1")],
)
def test_numba_and_torch_keep_to_the_threads_they_were_given(
    before: str, environment: dict[str, str], expected: str
) -> None:
    cleared = {name: value for name, value in os.environ.items() if not name.endswith("_NUM_THREADS")}
    done = subprocess.run(
        [sys.executable, "-c", CODE.format(before=before)],
        capture_output=True,
        text=True,
        check=True,
        env=cleared | environment,
    )
    assert done.stdout.split("\n")[0] == expected
