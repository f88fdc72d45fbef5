"""``robench.evaluate(..., within=0.5, with_run=RUN)``: another model's run of all images as a control variate."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from robench.errors import RobenchError

if TYPE_CHECKING:
    from robench.predictions import RunFolder
    from robench.suites import OpenSuite


def control_of(path: Path, suite: OpenSuite) -> RunFolder:
    """Return another model's run that has all images of every cell of an open suite.

    Raises:
        RobenchError: it is not a run, is of other images, or lacks some of these.
    """
    from robench.predictions import RunFolder
    from robench.results.protocols import of_images

    other = RunFolder.open(path)
    theirs, ours = (of_images(one) | {"limit": None} for one in (other.record.suite.protocol, suite.protocol))
    differing = [key for key in sorted({*theirs, *ours}) if theirs.get(key) != ours.get(key)]
    if differing:
        raise RobenchError(
            f"{path} is a run on other images than {suite.suite.name} has here; they differ in {', '.join(differing)}.",
            hint="`with_run` takes a run of the same suite on the same files.",
        )
    for cell in suite.suite.cells:
        if not other.is_done(cell.name) or other.sample(cell.name) is not None:
            raise RobenchError(
                f"{path} does not have all images of '{cell.name}'.",
                hint="`with_run` takes a run of all images; measure that model without `limit` and `within` first.",
            )
    return other


def keep(run: RunFolder, other: RunFolder) -> None:
    """Keep in a run's folder what the other run says of each image, unless it is there."""
    from robench.results.controls import control_run, keep_control_run

    known = control_run(run.path)
    cells = tuple(run.record.cells)
    if known is None or known.identity != other.record.hash or not set(cells) <= set(known.cells):
        keep_control_run(run.path, other, tuple(cell for cell in cells if other.is_done(cell)))
