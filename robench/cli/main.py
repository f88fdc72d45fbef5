"""The command line: one file a verb; a user's mistake becomes one message, never a traceback."""

from __future__ import annotations

import atexit
import os
import shlex
import sys
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import typer

from robench._version import __version__
from robench.cli.common import InterruptedWorkError
from robench.errors import RobenchError
from robench.processes import launched_by_torchrun

VERBS = (
    "quickstart",
    "evaluate",
    "metrics",
    "compare",
    "calibrate",
    "fourier",
    "table",
    "plot",
    "report",
    "leaderboard",
    "train",
    "data",
    "suites",
    "models",
)

GOES_ON = ("train", "fourier", "data")  # evaluate and quickstart say more, themselves

EPILOG = """\
Begin with `robench quickstart`: it needs no data and no GPU.

`robench VERB --help` shows what a verb does, with examples.
"""

DONE, FAILED, USAGE, INTERRUPTED = 0, 1, 2, 130


def build_app() -> typer.Typer:
    """Return the application with every verb."""
    app = typer.Typer(
        name="robench",
        help="Robustness and calibration of image classifiers, by the published protocols.",
        epilog=EPILOG,
        no_args_is_help=True,
        add_completion=True,
        rich_markup_mode="markdown",
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback()(_root)
    for verb in VERBS:
        if find_spec(f"robench.cli.{verb}") is not None:
            import_module(f"robench.cli.{verb}").register(app)
    return app


def run() -> None:
    """Run the command line and leave with 0 (done), 1 (failed), 2 (usage) or 130 (interrupted)."""
    code = main(sys.argv[1:])
    if code == 0 and _one_of_several():
        _leave_at_once()
    sys.exit(code)


def _one_of_several() -> bool:
    try:
        return launched_by_torchrun()
    except RobenchError:  # said by what needs the other processes
        return False


def _leave_at_once() -> None:
    """End a rank whose work is done without tearing down its native threads.

    About one run in ten of two gloo ranks (PyTorch 2.15) aborts in that ("terminate called without an active
    exception") after everything is written, and torchrun then reports the whole run as failed.
    """
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)


def main(arguments: list[str]) -> int:
    """Run one command and return its exit code."""
    try:
        code = build_app()(arguments, standalone_mode=False, prog_name="robench")
        if code == INTERRUPTED:  # what the library makes of Ctrl-C, without a word
            _complain(_stopped(arguments))
        return int(code or 0)
    except RobenchError as error:
        _complain(str(error))
        return USAGE
    except InterruptedWorkError as stop:
        _complain(str(stop))
        return INTERRUPTED
    except KeyboardInterrupt:
        _complain("Stopped.")
        return INTERRUPTED
    except typer.Exit as leave:
        return leave.exit_code
    except typer.Abort:
        _complain("Stopped.")
        return INTERRUPTED
    except Exception as error:
        return _usage_error(error)


def _usage_error(error: Exception) -> int:
    """Show click's own errors as it would; anything else is a bug and keeps its traceback."""
    for exceptions in _click_exceptions():
        if isinstance(error, exceptions.ClickException):
            error.show()
            return USAGE
    raise error


def _click_exceptions() -> list[Any]:
    """Return the modules of click's exceptions: newer typers carry a click inside, older ones depend on it."""
    homes = [name for name in ("typer._click", "click") if find_spec(name) is not None]
    return [import_module(f"{home}.exceptions") for home in homes]


def _stopped(arguments: list[str]) -> str:
    """Return what Ctrl-C is answered with: how to go on, of verbs that keep what they have finished."""
    if not set(arguments[:1]) & set(GOES_ON):
        return "Stopped."
    again = shlex.join(["robench", *(word for word in arguments if word != "--fresh")])  # that would begin again
    if _one_of_several():
        again = "the same torchrun command, without --fresh"
    return f"Stopped; what is finished is kept. To go on: {again}"


def _complain(text: str) -> None:
    print(f"robench: {text}", file=sys.stderr)


def _version(wanted: bool) -> None:
    if wanted:
        print(f"robench {__version__}")
        raise typer.Exit


def _root(
    version: bool = typer.Option(False, "--version", callback=_version, is_eager=True, help="Print the version."),
) -> None:
    """Robustness and calibration of image classifiers, by the published protocols."""
