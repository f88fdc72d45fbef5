"""Where the published tables and the measured results lie: in an installed package, or in a checkout."""

from __future__ import annotations

from pathlib import Path

from robench.errors import RobenchError


def leaderboards() -> Path:
    """Return the folder that holds ``published/`` and ``measured/``.

    Raises:
        RobenchError: neither the package nor the folder above it has one.
    """
    package = Path(__file__).resolve().parents[1]
    for folder in (package / "_shipped" / "leaderboards", package.parent / "leaderboards"):
        if (folder / "published").is_dir():
            return folder
    raise RobenchError(
        "The published tables are missing: this robench was installed without its leaderboards folder.",
        hint="Install it again with `pip install --force-reinstall robench`, or work from a checkout.",
    )
