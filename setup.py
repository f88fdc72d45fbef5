"""Adds to the wheel what the commands need and what lives outside the package: tables and reference models."""

import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

SHIPPED = ("leaderboards", "reference_models")


class BuildWithShipped(build_py):
    """Copies the folders to ``robench/_shipped``; an editable install finds them in the checkout instead."""

    def run(self) -> None:
        super().run()
        if self.editable_mode:
            return
        for name in SHIPPED:
            source = Path(__file__).parent / name
            if source.is_dir():
                target = Path(self.build_lib) / "robench" / "_shipped" / name
                shutil.copytree(source, target, dirs_exist_ok=True, ignore=shutil.ignore_patterns("page", ".*"))


setup(cmdclass={"build_py": BuildWithShipped})
