"""How many parallel regions one call of each corruption and each frame of a sequence takes.

    python benchmarks/regions.py [--sizes 32 224] [--markdown]

A parallel region ends when the slowest of its threads does. On a machine with other work that is the scheduler's next
turn, some milliseconds later, so what counts beside other processes is how often a call waits. Every corruption
should take one region, or one round of a thread pool, and none in front or behind.

Regions are counted where they are made: a library of a few lines, compiled with the system's C compiler and loaded
before the others, counts the calls of ``GOMP_parallel`` by which PyTorch and numba start their threads. Rounds of a
thread pool are counted in Python. Needs Linux and a C compiler (``cc``).
"""

from __future__ import annotations

import argparse
import ctypes
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

SHIM = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
static volatile long count;
long regions_begun(void) { return count; }
void GOMP_parallel(void (*work)(void *), void *data, unsigned threads, unsigned flags) {
    static void (*real)(void (*)(void *), void *, unsigned, unsigned);
    if (!real) real = dlsym(RTLD_NEXT, "GOMP_parallel");
    if (threads != 1) __sync_fetch_and_add(&count, 1);
    real(work, data, threads, flags);
}
"""
BATCH = {32: 512, 224: 32}


def preloaded() -> None:
    """Start this script again with the counting library before all others."""
    with tempfile.TemporaryDirectory() as folder:
        source, library = Path(folder) / "shim.c", Path(folder) / "shim.so"
        source.write_text(SHIM)
        subprocess.run(["cc", "-O2", "-shared", "-fPIC", "-o", library, source, "-ldl"], check=True)
        environment = {**os.environ, "LD_PRELOAD": str(library), "REGIONS_SHIM": str(library)}
        raise SystemExit(subprocess.run([sys.executable, *sys.argv], env=environment).returncode)


class Counter:
    """Counts regions and rounds of the pool between two looks."""

    def __init__(self) -> None:
        from concurrent.futures import ThreadPoolExecutor

        library = ctypes.CDLL(os.environ["REGIONS_SHIM"])
        library.regions_begun.restype = ctypes.c_long
        self._begun: Callable[[], int] = library.regions_begun
        self.rounds = 0
        original = ThreadPoolExecutor.map

        def counted(*args: Any, **kwargs: Any) -> Any:
            self.rounds += 1
            return original(*args, **kwargs)

        ThreadPoolExecutor.map = counted  # type: ignore[method-assign]

    def of(self, work: Callable[[], Any]) -> tuple[int, int]:
        """Return (regions, rounds) of one call."""
        regions, rounds = self._begun(), self.rounds
        work()
        return self._begun() - regions, self.rounds - rounds


def measure(size: int, counter: Counter) -> dict[str, tuple[int, int]]:
    """Return the most regions and rounds of a call over the severities, and per frame of a sequence."""
    import torch
    from corruptions import test_images

    from robench.corruptions import ALL, corrupt, perturb
    from robench.corruptions.perturbations import ALL_PERTURBATIONS, frame_count

    images = torch.from_numpy(test_images(size, BATCH[size], None)).permute(0, 3, 1, 2).contiguous()
    index = torch.arange(len(images))
    found: dict[str, tuple[int, int]] = {}
    for name in ALL:
        counts = []
        for severity in range(1, 6):
            corrupt(images, name, severity, index=index)  # compiles loops, builds tables
            counts.append(counter.of(lambda n=name, s=severity: corrupt(images, n, s, index=index)))  # type: ignore[misc]
        found[name] = (max(one for one, _ in counts), max(one for _, one in counts))
    few = images[: max(2, len(images) // 8)]
    for name in ALL_PERTURBATIONS:
        list(perturb(few, name, index=index[: len(few)]))
        regions, rounds = counter.of(lambda: list(perturb(few, name, index=index[: len(few)])))  # noqa: B023
        found[f"{name} (sequence), per frame"] = (regions / frame_count(name, size), rounds / frame_count(name, size))
    return found


def main() -> None:
    """Count and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", choices=(32, 224), default=[32, 224])
    parser.add_argument("--markdown", action="store_true")
    args = parser.parse_args()
    if "REGIONS_SHIM" not in os.environ:
        preloaded()
    import numba
    import torch

    torch.set_num_threads(2)
    if numba.config.NUMBA_NUM_THREADS < 2:
        parser.error("with one thread there are no regions: unset NUMBA_NUM_THREADS, and use two cores or more")
    counter = Counter()
    found = {size: measure(size, counter) for size in args.sizes}
    if not args.markdown:
        print(json.dumps(found, indent=1))
        return
    print("| corruption | " + " | ".join(f"regions, {size} | rounds, {size}" for size in found) + " |")
    print("| --- |" + " ---: | ---: |" * len(found))
    for name in next(iter(found.values())):
        print(
            f"| {name} | " + " | ".join(f"{rows[name][0]:.3g} | {rows[name][1]:.3g}" for rows in found.values()) + " |"
        )


if __name__ == "__main__":
    main()
