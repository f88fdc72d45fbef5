"""Starting up imports nothing heavy."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

HEAVY = ("torch", "matplotlib", "numpy", "scipy", "sklearn", "pyarrow", "pandas", "timm", "numba", "cv2", "pydantic")


def _loaded_after(code: str) -> set[str]:
    script = f"{code}\nimport sys\nprint(*[name for name in {HEAVY!r} if name in sys.modules])"
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return set(result.stdout.splitlines()[-1].split())


def test_importing_robench_loads_nothing_heavy() -> None:
    assert _loaded_after("import robench, robench.api") == set()


def test_building_the_command_line_loads_nothing_heavy() -> None:
    assert _loaded_after("from robench.cli.main import build_app; build_app()") == set()


def test_measuring_loads_what_it_needs_alone(tmp_path: Path) -> None:
    """Importing pandas and scikit-learn takes longer than measuring a small cell."""
    few = "limit=5, corruption='contrast', severity=1, device='cpu', resamples=0, quiet=True"
    code = f"import robench; robench.evaluate('reference:digits/standard', 'digits-c', out={str(tmp_path)!r}, {few})"
    assert not _loaded_after(code) & {"sklearn", "pandas", "matplotlib", "timm"}
