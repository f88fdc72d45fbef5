"""What the time of a benchmark goes into: PyTorch's profiler, its longest operators and kernels kept as text."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from torch.profiler import ProfilerActivity, profile

LONGEST = 25


def keep_profile(folder: Path | None, title: str, work: Callable[[], Any], device: str, calls: int = 3) -> None:
    """Run ``work`` under the profiler and write its longest operators to ``FOLDER/profile-TITLE.txt``.

    Args:
        folder: made where it is not there; None: nothing is run.
        title: of the file, after what is profiled.
        work: called once before, and then ``calls`` times under the profiler.
        device: on a GPU the operators are sorted by the time of their own kernels, on a CPU by their own time.
        calls: whose times are summed.
    """
    if folder is None:
        return
    work()
    on_gpu = not device.startswith("cpu")
    activities = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if on_gpu else [])]
    with profile(activities=activities) as found:
        for _ in range(calls):
            work()
    order = f"self_{'device' if on_gpu else 'cpu'}_time_total"
    table = found.key_averages().table(sort_by=order, row_limit=LONGEST, max_name_column_width=80)
    folder.mkdir(parents=True, exist_ok=True)
    name = re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-")
    (folder / f"profile-{name}.txt").write_text(f"{title}: {calls} calls on {device}\n{table}\n")
