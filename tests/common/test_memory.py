"""Freed memory is kept while a block runs, and given back at its end."""

from __future__ import annotations

import subprocess
import sys

import pytest

from robench import memory

CODE = """
import resource, torch
from robench import memory

def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(10):
        torch.ones(16_000_000)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

def resident():
    return next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmRSS"))

torch.ones(16_000_000)
usual, start = faults(), resident()
with memory.kept(), memory.kept():
    faults()  # the heap grows until it holds what is needed
    kept = faults()
print(usual, kept, resident() - start)
"""


@pytest.mark.skipif(memory._glibc() is None, reason="no glibc, or the user sets its thresholds")
def test_pages_are_taken_once_within_and_given_back_after() -> None:
    done = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, check=True)
    usual, kept, grown_kb = map(int, done.stdout.split())
    assert kept < usual / 5
    assert grown_kb < 20_000


def test_a_users_own_thresholds_and_other_devices_are_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MALLOC_TRIM_THRESHOLD_", "1000000")
    assert memory._glibc() is None
    with memory.kept(), memory.kept("cuda"):
        assert memory._inside == 0
