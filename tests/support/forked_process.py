"""Processes of `authz` without the second that its imports take: forked from a process that has imported everything.

A child runs the unchanged program with its own environment, directory and signals; the signatures of the handlers are
parsed before. The test reads its standard error, and its exit code from a pipe that no other process holds, so that the
pipe ends with the child.
"""

from __future__ import annotations

import atexit
import gc
import json
import os
import resource
import runpy
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any, NoReturn, TextIO

ROOT = Path(__file__).parents[2]
_MAX_MESSAGE = 1_000_000  # bytes
# `authz` for a shell. Without the modules of a site it starts in a hundredth of the time.
_PROGRAM = """\
#!{python} -IS
import json, os, resource, signal, socket, sys

shell = {{"umask": os.umask(0o77), "descriptors": resource.getrlimit(resource.RLIMIT_NOFILE)}}
order = {{"words": sys.argv[1:], "env": dict(os.environ), "cwd": os.getcwd(), "shell": shell}}
message = json.dumps(order).encode()
ended, end = os.pipe()
with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as parent:
    parent.connect({address!r})
    socket.send_fds(parent, [len(message).to_bytes(4, "big")], [0, 1, 2, end])
    parent.sendall(message)
    child = int.from_bytes(parent.recv(4), "big")
os.close(end)
for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
    signal.signal(number, lambda number, _frame: os.kill(child, number))
code = os.read(ended, 1)
sys.exit(code[0] if code else "authz was killed")
"""


class ForkedProcess:
    """A child process that runs `authz`, or `-m` a module, with the methods of subprocess.Popen that tests use."""

    def __init__(self, words: Sequence[str], env: Mapping[str, str], cwd: Path, without: tuple[str, ...] = ()) -> None:
        self.returncode: int | None = None
        self._signal = signal.SIGKILL  # the code if another process kills it
        log, child_log = os.pipe()
        self._ended, child_end = os.pipe()
        nowhere = os.open(os.devnull, os.O_RDWR)
        try:
            order = json.dumps({"words": list(words), "env": dict(env), "cwd": str(cwd)}).encode()
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as parent:
                parent.connect(_parent(without))
                socket.send_fds(parent, [len(order).to_bytes(4, "big")], [nowhere, nowhere, child_log, child_end])
                parent.sendall(order)
                self.pid = int.from_bytes(parent.recv(4), "big")
        finally:
            for given in (nowhere, child_log, child_end):
                os.close(given)
        self.stderr: TextIO = os.fdopen(log, "r")

    def poll(self) -> int | None:
        """The exit code; None while it runs."""
        return self.wait(0) if self.returncode is None and self._over(0) else self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Wait for the exit code. Raises subprocess.TimeoutExpired."""
        if self.returncode is None:
            if not self._over(timeout):
                raise subprocess.TimeoutExpired("authz", timeout or 0)
            told = os.read(self._ended, 1)
            os.close(self._ended)
            self.returncode = told[0] if told else -self._signal
        return self.returncode

    def send_signal(self, number: signal.Signals) -> None:
        """Send it a signal, if it still runs."""
        if self.poll() is None:
            if number in (signal.SIGTERM, signal.SIGINT, signal.SIGKILL):
                self._signal = number
            os.kill(self.pid, number)

    def terminate(self) -> None:
        """Terminate it as an operator would."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """Kill it."""
        self.send_signal(signal.SIGKILL)

    def _over(self, timeout: float | None) -> bool:
        return bool(select.select([self._ended], [], [], timeout)[0])


def run(
    *words: str, env: Mapping[str, str], cwd: Path, seconds: float = 60, without: tuple[str, ...] = ()
) -> subprocess.CompletedProcess[str]:
    """Run `authz` with arguments to its end, with its standard error. Raises subprocess.TimeoutExpired.

    The modules `without` cannot be imported, as if they were not installed.
    """
    child = ForkedProcess(words, env, cwd, without)
    with child.stderr as log:
        try:
            code = child.wait(seconds)  # its output is short enough for the buffer of the pipe
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()
            raise
        return subprocess.CompletedProcess(["authz", *words], code, "", log.read())


@cache
def program() -> Path:
    """An executable `authz` for shells and scripts, which a fork runs with their input, output and signals."""
    address = _parent(())
    path = Path(address).parent / "bin" / "authz"
    path.parent.mkdir()
    path.write_text(_PROGRAM.format(python=sys.executable, address=address))
    path.chmod(0o700)
    return path


@cache
def _parent(without: tuple[str, ...]) -> str:
    """The address of the process that has imported everything but these modules, which the first call starts."""
    directory = tempfile.mkdtemp(prefix="authz-")
    address = f"{directory}/parent"
    command = [sys.executable, "-m", "tests.support.forked_process", address, *without]
    parent = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert parent.stdout
    assert parent.stdout.readline() == "ready\n"
    parent.stdout.close()

    def stop() -> None:
        assert parent.stdin
        parent.stdin.close()  # which ends the process
        parent.wait()
        shutil.rmtree(directory)

    atexit.register(stop)
    return address


def _serve(address: str, without: Sequence[str]) -> None:
    """Fork a child for each order, until standard input ends."""
    sys.modules.update(dict.fromkeys(without))  # type: ignore[arg-type]  # None: an import of it fails
    import anyio._backends._asyncio  # noqa: F401, PLC0415  # as above
    import httpcore  # noqa: F401, PLC0415  # as above
    import uvicorn.lifespan.on  # noqa: PLC0415  # as above
    import uvicorn.loops.auto  # noqa: PLC0415  # as above
    import uvicorn.protocols.http.httptools_impl  # noqa: PLC0415  # as above
    import uvicorn.protocols.websockets.auto  # noqa: F401, PLC0415  # as above
    import uvloop  # noqa: F401, PLC0415  # as above

    import app.asgi  # noqa: PLC0415  # as above
    import app.assembly  # noqa: PLC0415  # as above
    import app.cli.server.serve  # noqa: PLC0415  # as above
    import app.db.migrate  # noqa: PLC0415  # as above
    import app.griddy.tables.presence  # noqa: PLC0415  # as above
    import app.history.recovery  # noqa: PLC0415  # as above
    import app.policy.language.cel_private  # noqa: PLC0415  # as above

    if "granian" not in without:
        import app.cli.server.on_granian  # noqa: PLC0415  # as above

    _keep_signatures()
    app.assembly.route_table()  # which imports what the first application needs
    gc.freeze()  # no child looks for garbage here, which would copy all pages
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the children are not waited for
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as door:
        door.bind(address)
        door.listen()
        print("ready", flush=True)
        while True:
            ready, _, _ = select.select([door, sys.stdin], [], [])
            if sys.stdin in ready:
                return
            asked, _ = door.accept()
            with asked:
                size, fds, _, _ = socket.recv_fds(asked, 4, 4)
                order = b""
                while len(order) < int.from_bytes(size, "big"):
                    order += asked.recv(_MAX_MESSAGE)
                pid = os.fork()
                if pid == 0:
                    door.close()
                    asked.close()
                    _child(json.loads(order), *fds)
                for fd in fds:
                    os.close(fd)
                asked.sendall(pid.to_bytes(4, "big"))


def _keep_signatures() -> None:
    """Keep what Litestar reads from signatures of handlers: a third of the time in which it makes an application."""
    from litestar.utils.signature import ParsedSignature  # noqa: PLC0415  # as above

    parse = ParsedSignature.from_fn
    kept: dict[Any, ParsedSignature] = {}

    def from_fn(function: Any, namespace: dict[str, Any]) -> ParsedSignature:
        key = function, frozenset(namespace.items())
        if key not in kept:
            kept[key] = parse(function, namespace)
        return kept[key]

    ParsedSignature.from_fn = from_fn  # type: ignore[assignment, method-assign]  # of a class method


def _child(order: dict[str, Any], stdin: int, stdout: int, stderr: int, end: int) -> NoReturn:
    from app.cli import main  # noqa: PLC0415  # imported before, by what it serves

    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    code = 1
    try:
        for taken, given in ((0, stdin), (1, stdout), (2, stderr)):
            os.dup2(given, taken)
            os.close(given)
        os.environ.clear()
        os.environ.update(order["env"])
        os.chdir(order["cwd"])
        if shell := order.get("shell"):
            os.umask(shell["umask"])
            resource.setrlimit(resource.RLIMIT_NOFILE, shell["descriptors"])
        match order["words"]:
            case ["-m", module, *words]:
                sys.argv = [module, *words]
                runpy.run_module(module, run_name="__main__")
            case words:
                sys.argv = ["authz", *words]
                main()
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else 0 if ended.code is None else 1
    except BaseException:  # noqa: BLE001  # told as the interpreter would
        sys.excepthook(*sys.exc_info())
    finally:
        with suppress(BrokenPipeError):  # of a reader that has read enough
            sys.stdout.flush()
        sys.stderr.flush()
        os.write(end, bytes([code]))
        os._exit(code)


if __name__ == "__main__":
    _serve(sys.argv[1], sys.argv[2:])
