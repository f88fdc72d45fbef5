"""The table of suites: robench's own rows, those that were registered, and those of installed packages."""

from __future__ import annotations

from robench.registry import Registry
from robench.suites.base import Suite
from robench.suites.rows_attacks import ATTACKS
from robench.suites.rows_further import FURTHER
from robench.suites.rows_large import LARGE
from robench.suites.rows_small import SMALL

SUITES: Registry[Suite] = Registry(
    "suite", {suite.name: suite for suite in (*SMALL, *LARGE, *FURTHER, *ATTACKS)}, group="robench.suites"
)
