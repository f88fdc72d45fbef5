"""Ranks, devices, precision, threads and kept memory: what one process is told, and what it makes of it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from robench import cpu, processes
from robench.errors import RobenchError
from robench.processes import World, as_precision, joined, resolve_device, world

RANKS = {"RANK": "1", "WORLD_SIZE": "2", "LOCAL_RANK": "1", "MASTER_ADDR": "localhost", "MASTER_PORT": "29500"}

CODE = """
import resource, torch
from robench.cpu import kept_memory

def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(10):
        torch.ones(16_000_000)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

def resident():
    return next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmRSS"))

torch.ones(16_000_000)
usual, start = faults(), resident()
with kept_memory(), kept_memory():
    faults()  # the heap grows until it holds what is needed
    kept = faults()
print(usual, kept, resident() - start)
"""


@pytest.fixture
def alone(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    for name in (*RANKS, "LOCAL_WORLD_SIZE"):
        monkeypatch.delenv(name, raising=False)
    return monkeypatch


@pytest.mark.skipif(cpu._glibc() is None, reason="no glibc, or the user sets its thresholds")
def test_pages_are_taken_once_within_and_given_back_after() -> None:
    done = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, check=True)
    usual, kept, grown_kb = map(int, done.stdout.split())
    assert kept < usual / 5
    assert grown_kb < 20_000


def test_a_users_own_thresholds_and_other_devices_are_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MALLOC_TRIM_THRESHOLD_", "1000000")
    assert cpu._glibc() is None
    with cpu.kept_memory(), cpu.kept_memory("cuda"):
        assert cpu._inside == 0


def test_a_precision_has_one_spelling_and_pytorchs_names_are_understood() -> None:
    assert [as_precision(word) for word in ("fp32", "bf16", "fp16")] == ["fp32", "bf16", "fp16"]
    assert [as_precision(word) for word in ("float32", "bfloat16", "float16")] == ["fp32", "bf16", "fp16"]
    assert processes.dtype_of("bf16") is torch.bfloat16
    with pytest.raises(RobenchError, match=r"Unknown precision 'fp8'.*\n.*fp16"):
        as_precision("fp8")


@pytest.mark.parametrize("name", ["gpu", "cpu:0", "cuda:", "cuda:-1", "CUDA", "cuda:99999999999999999999"])
def test_what_is_not_the_name_of_a_device_is_refused(name: str) -> None:
    with pytest.raises(RobenchError, match="Unknown device"):
        resolve_device(name)


def test_a_device_that_is_not_there_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    assert resolve_device() == resolve_device("auto") == resolve_device("cpu") == "cpu"
    with pytest.raises(RobenchError, match="no CUDA device for 'cuda:1'"):
        resolve_device("cuda:1")
    with pytest.raises(RobenchError, match="no MPS device"):
        resolve_device("mps")


def test_every_rank_has_a_gpu_of_its_own_unless_one_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert [World(rank, 4, rank).device("auto") for rank in range(4)] == ["cuda:0", "cuda:1", "cuda:0", "cuda:1"]
    assert World(1, 2, 1).device("cuda:0") == "cuda:0"
    assert World().device() == "cuda"


def test_more_ranks_than_gpus_do_not_use_nccl(alone: pytest.MonkeyPatch) -> None:
    alone.setattr(torch.cuda, "device_count", lambda: 2)
    alone.setenv("LOCAL_WORLD_SIZE", "2")
    assert processes._each_has_a_gpu(World(0, 4, 0), "cuda")
    assert not processes._each_has_a_gpu(World(0, 4, 0), "cuda:1")
    alone.setenv("LOCAL_WORLD_SIZE", "3")
    assert not processes._each_has_a_gpu(World(0, 3, 0), "cuda")


def test_a_process_is_alone_without_torchrun(alone: pytest.MonkeyPatch) -> None:
    assert world() == World(0, 1, 0)
    with joined("cpu") as here:
        assert here.first
    alone.setenv("WORLD_SIZE", "1")
    assert not processes.launched_by_torchrun()


def test_what_torchrun_tells_is_read(alone: pytest.MonkeyPatch) -> None:
    for name, value in RANKS.items():
        alone.setenv(name, value)
    assert world() == World(1, 2, 1)
    assert not world().first
    assert processes.launched_by_torchrun()


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"WORLD_SIZE": "abc"}, "WORLD_SIZE=abc"),
        ({"WORLD_SIZE": "-2"}, "WORLD_SIZE=-2"),
        ({"RANK": "2"}, "RANK"),
        ({"RANK": "one"}, "RANK=one"),
        ({"RANK": None}, "without RANK"),
        ({"MASTER_ADDR": None, "MASTER_PORT": None}, "without MASTER_ADDR, MASTER_PORT"),
    ],
)
def test_half_of_a_description_of_several_processes_is_refused(
    alone: pytest.MonkeyPatch, changed: dict[str, str | None], said: str
) -> None:
    for name, value in (RANKS | changed).items():
        if value is not None:
            alone.setenv(name, value)
    with pytest.raises(RobenchError, match=said) as caught:
        world()
    assert "unset WORLD_SIZE" in str(caught.value)


def test_a_wrong_world_size_does_not_keep_a_command_from_running() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "robench", "suites", "list"],
        capture_output=True,
        text=True,
        env=os.environ | {"WORLD_SIZE": "abc"},
    )
    assert done.returncode == 0, done.stderr
    assert "digits-c" in done.stdout


@pytest.mark.parametrize(
    ("lines", "files", "quota"),
    [
        ("0::/", {"cpu.max": "200000 100000"}, 2.0),
        ("0::/", {"cpu.max": "max 100000"}, None),
        ("0::/a/b", {"cpu.max": "max 100000", "a/cpu.max": "50000 100000", "a/b/cpu.max": "150000 100000"}, 0.5),
        ("0::/outside/of/the/container", {"cpu.max": "300000 100000"}, 3.0),
        ("4:cpu,cpuacct:/x", {"cpu,cpuacct/x/cpu.cfs_quota_us": "250000", "cpu,cpuacct/x/cpu.cfs_period_us": "100000"},
         2.5),
        ("1:cpu:/\n0::/", {"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"}, None),
        ("0::/", {"cpu.max": "what is this"}, None),
        ("", {}, None),
    ],
)  # fmt: skip
def test_the_quota_of_a_container_is_read(
    tmp_path: Path, lines: str, files: dict[str, str], quota: float | None
) -> None:
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text + "\n")
    listed = tmp_path / "listed"
    listed.write_text(lines + "\n")
    assert cpu._cpu_quota(listed, tmp_path) == quota


def test_threads_follow_the_affinity_the_quota_and_what_the_user_says(monkeypatch: pytest.MonkeyPatch) -> None:
    given = torch.get_num_threads()
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)), raising=False)
    try:
        monkeypatch.setattr(cpu, "_cpu_quota", lambda: None)
        assert cpu.cores() == 8
        monkeypatch.setattr(cpu, "_cpu_quota", lambda: 2.5)
        assert cpu.cores() == 3
        torch.set_num_threads(8)  # what PyTorch takes by itself
        assert cpu.threads() == 3
        cpu.keep_to_quota()
        assert torch.get_num_threads() == 3
        torch.set_num_threads(5)  # what a user chose
        cpu.keep_to_quota()
        assert cpu.threads() == torch.get_num_threads() == 5
        monkeypatch.setenv("OMP_NUM_THREADS", "8")
        torch.set_num_threads(8)
        cpu.keep_to_quota()
        assert cpu.threads() == torch.get_num_threads() == 8
    finally:
        torch.set_num_threads(given)


@pytest.mark.parametrize(("given", "found"), [({}, "passive"), ({"OMP_WAIT_POLICY": "active"}, "active")])
def test_threads_of_a_process_of_ones_own_sleep_while_they_wait(
    given: dict[str, str], found: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT"):
        monkeypatch.setenv(name, "")  # so that whatever is set below is taken back
        monkeypatch.delenv(name)
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    cpu.wait_asleep()
    assert os.environ.get("OMP_WAIT_POLICY") == given.get("OMP_WAIT_POLICY")  # torch is loaded: too late to matter
    monkeypatch.delitem(sys.modules, "torch")
    cpu.wait_asleep()
    assert os.environ["OMP_WAIT_POLICY"] == found


def test_importing_the_library_leaves_its_users_threads_alone() -> None:
    code = "import os, robench, robench.cpu; print(os.environ.get('OMP_WAIT_POLICY'))"
    environment = {k: v for k, v in os.environ.items() if k not in ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT")}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "None"
