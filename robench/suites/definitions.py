"""The list of suites: name -> protocol and the function that opens it (``module:function``)."""

from __future__ import annotations

from robench.suites.base import Suite
from robench.suites.rows_large import LARGE
from robench.suites.rows_small import SMALL

SUITES: dict[str, tuple[Suite, str]] = {suite.name: (suite, opener) for suite, opener in (*SMALL, *LARGE)}
