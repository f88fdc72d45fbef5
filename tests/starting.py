"""Starts Python as ``subprocess`` does, in a fraction of the time: forked from a process that has imported PyTorch.

That process has imported nothing of robench: what is forked reads the source, its environment, installed packages and
entry points anew. Options of Python itself and what its start reads (``PYTHONHASHSEED``, ``NUMBA_NUM_THREADS``) have no
effect; where a test is about these, or about the start, it uses ``subprocess``.
"""

from __future__ import annotations

import atexit
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import types
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import IO, Any

HEAVY = ("torch", "torch.distributed", "torch.utils.data", "numba", "cv2", "pyarrow.parquet", "scipy.special")
HEAVY += ("scipy.linalg", "PIL.Image", "pydantic", "typer", "rich.progress", "yaml")


class Started:
    """A started process: its number ``pid``, and its exit code once it has ended (minus the signal that ended it)."""

    def __init__(self, channel: socket.socket) -> None:
        self._channel = channel
        self.returncode: int | None = None
        self.pid = int(channel.recv(64))

    def wait(self, timeout: float = 300.0) -> int:
        """Return its exit code; kill it where it does not end in time."""
        if self.returncode is None:
            self._channel.settimeout(timeout)
            try:
                self.returncode = int(self._channel.recv(64))
            except TimeoutError:
                os.kill(self.pid, signal.SIGKILL)
                raise
            finally:
                self._channel.close()
        return self.returncode


def start(
    words: Sequence[str],
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    stdout: IO[Any] | int | None = None,
    stderr: IO[Any] | int | None = None,
) -> Started:
    """Start Python with ``-c CODE``, ``-m MODULE`` or a script; what it prints goes where this process prints."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    request = {"words": list(words), "cwd": str(cwd or os.getcwd()), "env": dict(os.environ if env is None else env)}
    streams = [2 - n if stream is None else stream for n, stream in ((1, stdout), (0, stderr))]
    numbers = [stream if isinstance(stream, int) else stream.fileno() for stream in streams]
    socket.send_fds(_server(), [json.dumps(request).encode()], [theirs.fileno(), *numbers])
    theirs.close()
    return Started(ours)


def run(
    words: Sequence[str],
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    stdout: IO[Any] | int | None = None,
    stderr: IO[Any] | int | None = None,
    timeout: float = 300.0,
) -> subprocess.CompletedProcess[str]:
    """Run Python as :func:`start` does to its end; what goes to no file given is kept as text."""
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        streams = out if stdout is None else stdout, err if stderr is None else stderr
        code = start(words, cwd, env, *streams).wait(timeout)
        said = [os.pread(kept.fileno(), 1 << 24, 0).decode(errors="replace") for kept in (out, err)]
    return subprocess.CompletedProcess(list(words), code, *said)


def torchrun(words: Sequence[str], cwd: Path | None = None, ranks: int = 2) -> subprocess.CompletedProcess[str]:
    """Run Python in several ranks that know of each other as torchrun's do; the worst exit code, and what all said."""
    with socket.socket() as free, tempfile.TemporaryFile() as said:
        free.bind(("127.0.0.1", 0))
        shared = {"WORLD_SIZE": ranks, "LOCAL_WORLD_SIZE": ranks, "MASTER_ADDR": "127.0.0.1"}
        shared["MASTER_PORT"] = free.getsockname()[1]
        free.close()
        own = [shared | {"RANK": rank, "LOCAL_RANK": rank} for rank in range(ranks)]
        each = [os.environ | {name: str(value) for name, value in one.items()} for one in own]
        started = [start(words, cwd, env, said, said) for env in each]
        code = max(one.wait() for one in started)
        return subprocess.CompletedProcess(list(words), code, "", os.pread(said.fileno(), 1 << 24, 0).decode())


@cache
def _server() -> socket.socket:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    subprocess.Popen([sys.executable, __file__, str(theirs.fileno())], pass_fds=[theirs.fileno()], env=environment)
    theirs.close()
    atexit.register(ours.close)
    return ours


def _serve(server: socket.socket) -> None:
    """Fork for every request, and return in what is forked."""
    for name in HEAVY:
        __import__(name)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    while True:
        asked, numbers, _, _ = socket.recv_fds(server, 1 << 20, 3)
        if not asked:
            os._exit(0)
        if os.fork() == 0:
            server.close()
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            channel = socket.socket(fileno=numbers[0])
            if (child := os.fork()) == 0:
                channel.close()
                return _become(json.loads(asked), numbers[1:])
            _report(channel, child, numbers[1:])
        for number in numbers:
            os.close(number)


def _report(channel: socket.socket, child: int, numbers: Sequence[int]) -> None:
    """Tell a process's number and its end."""
    for number in numbers:
        os.close(number)
    channel.send(str(child).encode())
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    try:
        channel.send(str(code).encode())
    finally:
        os._exit(0)


def _become(request: dict[str, Any], numbers: Sequence[int]) -> None:
    """Take the streams, folder, environment and paths that were asked for."""
    for number, place in zip(numbers, (1, 2), strict=True):
        os.dup2(number, place)
        os.close(number)
    # As Python opens them: the server's own know what its files could do.
    sys.stdout = sys.__stdout__ = open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
    sys.stderr = sys.__stderr__ = open(2, "w", 1, "utf-8", "backslashreplace", closefd=False)  # noqa: SIM115
    os.chdir(request["cwd"])
    before = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    os.environ.clear()
    os.environ.update(request["env"])
    rest = [path for path in sys.path[1:] if path not in before]
    sys.path[:] = ["", *filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep)), *rest]
    sys.argv[:] = request["words"]
    signal.signal(signal.SIGINT, signal.default_int_handler)


def _main() -> None:
    _serve(socket.socket(fileno=int(sys.argv[1])))
    import runpy

    if sys.argv[0] == "-c":
        code = sys.argv.pop(1)
        module = sys.modules["__main__"] = types.ModuleType("__main__")
        exec(compile(code, "<string>", "exec"), module.__dict__)
    elif sys.argv[0] == "-m":
        del sys.argv[0]
        runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
    else:
        sys.path[0] = str(Path(sys.argv[0]).parent)
        runpy.run_path(sys.argv[0], run_name="__main__")


if __name__ == "__main__":
    _main()
