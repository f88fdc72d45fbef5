"""Run a benchmark idle, beside busy processes, and with a quota of one core, one after the other.

    python benchmarks/conditions.py [--conditions idle,busy,quota] [--busy 2] -- benchmarks/metrics.py --cells 5

Busy processes do nothing but compute, as on a shared machine. The quota is a control group's where this process may
make one, as containers have it, else all processes are bound to one core; the heading says which. Threads sleep while
they wait, as in a process of robench's own (`robench.cpu.wait_asleep`); what stands beside robench gains by it too.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from robench.cpu import wait_asleep

GROUPS = Path("/sys/fs/cgroup")
NAME = f"robench-benchmark-{os.getpid()}"
CONDITIONS = ("idle", "busy", "quota")
Prepare = Callable[[], None]


@contextlib.contextmanager
def busy(count: int) -> Iterator[None]:
    """Keep this many processes computing."""
    loops = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(count)]
    try:
        yield
    finally:
        for loop in loops:
            loop.kill()
            loop.wait()


@contextlib.contextmanager
def quota() -> Iterator[tuple[str, Prepare]]:
    """Yield what holds a process to one core, in words and as what it does before it starts."""
    second = (GROUPS / "cgroup.controllers").exists()  # version 2 of control groups
    group = (GROUPS if second else GROUPS / "cpu") / NAME
    limits = {"cpu.max": "100000 100000"} if second else {"cpu.cfs_period_us": "100000", "cpu.cfs_quota_us": "100000"}
    try:
        group.mkdir()
        for name, limit in limits.items():
            with (group / name).open("r+") as file:
                file.write(limit)
    except OSError:
        with contextlib.suppress(OSError):
            group.rmdir()
        yield "bound to one core", lambda: os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
        return
    try:
        yield "a control group's quota of one core", lambda: _enter(group)
    finally:
        with contextlib.suppress(OSError):
            group.rmdir()


def _enter(group: Path) -> None:
    (group / "cgroup.procs").write_text(str(os.getpid()))


def run(condition: str, command: list[str], count: int) -> int:
    """Run the command under a condition and return its exit code."""
    if condition == "busy":
        print(f"\n### Beside {count} busy processes\n", flush=True)
        with busy(count):
            return subprocess.run([sys.executable, *command], check=False).returncode
    if condition == "quota":
        with quota() as (words, prepare):
            print(f"\n### With {words}\n", flush=True)
            return subprocess.run([sys.executable, *command], preexec_fn=prepare, check=False).returncode
    print("\n### Idle\n", flush=True)
    return subprocess.run([sys.executable, *command], check=False).returncode


def main() -> int:
    """Run the command under each condition; return the worst exit code."""
    wait_asleep()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--conditions", default=",".join(CONDITIONS))
    parser.add_argument("--busy", type=int, default=2)
    parser.add_argument("command", nargs="+")
    given = parser.parse_args()
    wanted = given.conditions.split(",")
    if unknown := [name for name in wanted if name not in CONDITIONS]:
        parser.error(f"no condition {', '.join(unknown)}; known: {', '.join(CONDITIONS)}")
    return max(run(condition, given.command, given.busy) for condition in wanted)


if __name__ == "__main__":
    raise SystemExit(main())
