"""``robench.compare(a, b)``: paired differences between two runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from robench.api.options import Place
from robench.api.words import place, spelled_out, whole

if TYPE_CHECKING:
    from robench.results.comparing import Comparison


@spelled_out()
def compare(a: Place, b: Place, *, resamples: int = 1000, seed: int = 0) -> Comparison:
    """Compare two runs of a suite on the same images.

    Args:
        a, b: the runs' folders.
        resamples: bootstrap resamples of the images, at least 100.
        seed: of the bootstrap.

    Returns:
        Differences (``a`` minus ``b``) of every summary with 95 % intervals, McNemar's test in every cell with Holm's
        correction, and sentences that say what is statistically significant.

    Raises:
        RobenchError: a folder is not a run, or the runs are not of the same images.

    >>> import tempfile, robench
    >>> few = {"corruption": "contrast", "severity": 5, "limit": 100, "device": "cpu", "resamples": 0, "quiet": True}
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     for name in ("augmix", "standard"):
    ...         _ = robench.evaluate(f"reference:digits/{name}", "digits-c", out=f"{folder}/{name}", **few)
    ...     found = robench.compare(f"{folder}/augmix", f"{folder}/standard", resamples=100)
    >>> found.a, found.b, found.images, found.differences["mean_error"].value < 0
    ('augmix', 'standard', 100, True)
    """
    from robench.predictions import RunFolder
    from robench.results.comparing import compare_runs

    whole("resamples", resamples, least=100, most=100_000)
    whole("seed", seed, least=0, most=2**32 - 1)
    runs = [RunFolder.open(place(name, folder)) for name, folder in (("a", a), ("b", b))]
    return compare_runs(*runs, resamples=resamples, seed=seed)
