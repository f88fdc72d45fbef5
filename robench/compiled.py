"""numba's decorator for loops that numpy and PyTorch cannot fuse, under the threads that PyTorch has been given.

numba and PyTorch share one OpenMP library. Left alone, numba starts as many threads as there are cores whatever
``OMP_NUM_THREADS`` says, and from then on PyTorch uses as many too: two ranks on two cores then have four threads that
wait for each other in spin locks, which is ten to twenty times slower. Every compiled loop takes its decorator here.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import numba
from numba import prange
from numba.np.ufunc import parallel

from robench.cpu import threads

__all__ = ["compiled", "prange", "threads"]


def compiled(**options: Any) -> Callable[[Callable[..., Any]], Any]:
    """Return ``numba.njit(cache=True, ...)``, or without the cache where no folder can be written to."""

    def decorate(function: Callable[..., Any]) -> Any:
        try:
            return numba.njit(cache=True, **options)(function)
        except RuntimeError:  # numba found no place for its cache: a read-only installation and home
            return numba.njit(**options)(function)

    return decorate


def _limit_threads() -> None:
    wanted, config = threads(), cast(Any, numba.config)
    if parallel._is_initialized:
        numba.set_num_threads(min(wanted, numba.get_num_threads()))
    elif wanted < config.NUMBA_NUM_THREADS:
        # Threads start at the first parallel loop, not here: a data loader may still fork.
        config.NUMBA_NUM_THREADS = parallel.NUM_THREADS = wanted


_limit_threads()
