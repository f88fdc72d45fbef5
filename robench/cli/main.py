"""The command line: one file per command; a user's mistake becomes one message, never a traceback."""

from __future__ import annotations

import atexit
import errno
import os
import shlex
import sys
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import typer

from robench._version import __version__
from robench.cli.app import COMMANDS, Root, build
from robench.cli.completion import asked_by_bash, in_bash
from robench.cli.streams import drop_output, folded, guard_streams, printable
from robench.cpu import wait_asleep
from robench.errors import RobenchError, worded
from robench.processes import launched_by_torchrun

RESUMING = (
    "evaluate",
    "gate",
    "quickstart",
    "train",
    "fourier",
    "data",
)  # an interrupted one resumes when it is repeated

EPILOG = """\
Start with `robench quickstart`: it needs no data and no GPU.

`robench COMMAND --help` shows what a command does, with examples.
"""

DONE, FAILED, USAGE, INTERRUPTED = 0, 1, 2, 130


def build_app() -> typer.Typer:
    """Return the application; its commands are built when they are asked for."""
    app = typer.Typer(
        name="robench",
        cls=Root,
        help="Robustness and calibration of image classifiers, by the published protocols.",
        epilog=EPILOG,
        no_args_is_help=True,
        add_completion=True,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback()(_root)
    return app


def run() -> None:
    """Run the command line and leave with 0 (done), 1 (failed), 2 (usage) or 130 (interrupted)."""
    guard_streams()
    wait_asleep()
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
    if asked_by_bash():
        in_bash(lambda: build_app()([], standalone_mode=False, prog_name="robench"))
        return DONE
    try:
        with worded(lambda text: _in_options(text, arguments)):
            code = build_app()(arguments, standalone_mode=False, prog_name="robench")
        if code == INTERRUPTED:  # what the library makes of Ctrl-C, without a word
            return _refused(arguments, INTERRUPTED, _stopped(arguments))
        sys.stdout.flush()
        return int(code or 0)
    except RobenchError as error:
        return _refusal(error, arguments)
    except typer.Exit as leave:
        return leave.exit_code
    except (KeyboardInterrupt, typer.Abort):
        return _refused(arguments, INTERRUPTED, _stopped(arguments))
    except OSError as error:
        return _system_error(error, arguments)
    except SystemExit as leave:
        if isinstance(leave.__context__, BrokenPipeError):  # click leaves with 1 where a command's reader left
            return _system_error(leave.__context__, arguments)
        raise
    except Exception as error:
        return _usage_error(error, arguments)


def _refusal(error: RobenchError, arguments: list[str]) -> int:
    """Say a user's mistake in the words of the command line."""
    hint = None if error.hint is None else _in_options(error.hint, arguments)
    return _refused(arguments, USAGE, _in_options(error.message, arguments), hint)


def _in_options(text: str, arguments: list[str]) -> str:
    """Return a message of the library in the words of the command line."""
    from robench.cli.words import in_options

    return in_options(text, lambda name: _parameters(arguments, name))


def _refused(arguments: list[str], code: int, message: str, hint: str | None = None, *, said: bool = False) -> int:
    """Print an error for people to standard error; with ``--json`` also as the one document of standard output.

    Args:
        arguments: of the command line.
        code: with which the command ends.
        message, hint: what was wrong, and what to do next.
        said: standard error has it already.
    """
    if not said:
        _complain(message if hint is None else f"{message}\n{hint}")
    if "--json" in arguments:
        from robench.cli.common import print_json

        print_json({"error": {"message": printable(message), "hint": hint and printable(hint), "exit_code": code}})
    return code


def _parameters(arguments: list[str], name: str | None) -> list[Any]:
    """Return the parameters of a command; of the one that ``arguments`` run for None."""
    words = [name] if name is not None else arguments[:2]
    if not words or words[0] not in COMMANDS:
        return []
    command = build(words[0])
    part = None
    if len(words) > 1 and hasattr(command, "get_command") and words[1] in command.list_commands(None):
        part = command.get_command(None, words[1])
    return list((part or command).params)


# What is wrong with a path that somebody typed; anything else failed on the way.
_MISTAKES = (errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.ENAMETOOLONG, errno.EACCES, errno.EINVAL, errno.ELOOP)


def _system_error(error: OSError, arguments: list[str]) -> int:
    """Say what the operating system refused, of which file."""
    if isinstance(error, BrokenPipeError):  # the reader has seen enough, as `head` has
        drop_output()
        return DONE
    why = error.strerror or error
    if error.filename is None:
        drop_output()
        _complain(f"Could not write the output: {why}.\nSend it elsewhere; files that were written before are kept.")
        return FAILED
    code = USAGE if error.errno in _MISTAKES else FAILED
    hint = "Check the path, its permissions and free space."
    return _refused(arguments, code, f"Could not use {str(error.filename)!r}: {why}.", hint)


def _usage_error(error: Exception, arguments: list[str]) -> int:
    """Show click's own errors as it would; anything else is a bug and keeps its traceback."""
    for exceptions in _click_exceptions():
        if isinstance(error, exceptions.ClickException):
            if not isinstance(error, exceptions.NoArgsIsHelpError):  # that is a help text, in bold where it can be
                error.message = printable(error.message)
            error.show()
            return _refused(arguments, USAGE, error.format_message(), said=True)
    raise error


def _click_exceptions() -> list[Any]:
    """Return the modules of click's exceptions: newer typers carry a click inside, older ones depend on it."""
    homes = [name for name in ("typer._click", "click") if find_spec(name) is not None]
    return [import_module(f"{home}.exceptions") for home in homes]


def _stopped(arguments: list[str]) -> str:
    """Return the message shown on Ctrl-C: how to resume, for commands that keep what they have finished."""
    if not set(arguments[:1]) & set(RESUMING):
        return "Stopped."
    again = shlex.join(["robench", *(word for word in arguments if word != "--fresh")])  # that would begin again
    if _one_of_several():
        again = "the same torchrun command, without --fresh"
    what = "finished cells are kept" if arguments[0] in ("evaluate", "quickstart") else "what is finished is kept"
    return f"Stopped; {what}. To resume: {again}"


def _complain(text: str) -> None:
    print(folded(f"robench: {printable(text)}", sys.stderr), file=sys.stderr)


def _version(wanted: bool) -> None:
    if wanted:
        print(f"robench {__version__}")
        raise typer.Exit


def _root(
    version: bool = typer.Option(False, "--version", callback=_version, is_eager=True, help="Print the version."),
) -> None:
    """Robustness and calibration of image classifiers, by the published protocols."""
