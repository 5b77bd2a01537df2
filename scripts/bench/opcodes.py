"""The Python instructions of a request by function, which do not depend on what else the machine does.

    .venv/bin/python -m scripts.bench.opcodes [--top 20]

The application is called in this process: an unprotected GET, and protected ones by JWT, by key and by the token of an
app, with both logs. Access lines are counted until they are encoded, decisions until they are queued. Work in C, such
as a regular expression, is one instruction.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Coroutine, Mapping
from contextlib import ExitStack, redirect_stderr
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

from litestar.types import ASGIApp

from app import logs
from scripts.bench.request_cost import PUBLIC_URL, token_of
from scripts.bench.served import PATH, protected, server, unprotected
from tests.support.issuer import LiveIssuer
from tests.support.server import DATABASE, prepared_database

_REQUESTS = 64  # as many as the access log encodes at a time


def main() -> None:
    """Print both counts, and the functions that take most."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--top", type=int, default=20, help="functions of each (default 20)")
    given = parser.parse_args()
    with ExitStack() as stack:
        issuer = stack.enter_context(LiveIssuer())
        place = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        ours = server(place / "ours", issuer, "protected", access_log=True)
        ours.env["AUTHZ_PUBLIC_URL"] = PUBLIC_URL
        shutil.copy(prepared_database(), ours.directory / DATABASE)
        with ours:
            tokens = {kind: token_of(kind, ours, issuer) for kind in ("JWT", "key", "app")}
        os.environ.update(ours.env)
        with Path(os.devnull).open("w") as nothing, redirect_stderr(nothing):
            logs.configure("info", "json")
            found = asyncio.run(_counted(tokens))
    for name, counts in found.items():
        print(f"{name}: {counts.total() / _REQUESTS:.0f} Python instructions a request")
        for code, number in counts.most_common(given.top):
            where = "/".join(Path(code.co_filename).parts[-3:])
            print(f"{number / _REQUESTS:8.1f}  {code.co_name} ({where}:{code.co_firstlineno})")


async def _counted(tokens: Mapping[str, str]) -> dict[str, Counter[CodeType]]:
    ours, plain = protected(), unprotected()
    stop, started = asyncio.Event(), asyncio.Event()
    serving = asyncio.create_task(_lifespan(ours, started, stop))
    await started.wait()
    await _requests(plain, [])  # to fill caches
    found = {"unprotected": _traced(_requests(plain, []))}
    for kind, token in tokens.items():
        headers = [(b"authorization", f"Bearer {token}".encode())]
        await _requests(ours, headers)
        found[f"protected, by {kind}"] = _traced(_requests(ours, headers))
    stop.set()
    await serving
    return found


async def _lifespan(app: ASGIApp, started: asyncio.Event, stop: asyncio.Event) -> None:
    async def receive() -> Any:
        if not started.is_set():
            return {"type": "lifespan.startup"}
        await stop.wait()
        return {"type": "lifespan.shutdown"}

    async def send(message: Any) -> None:
        if message["type"] not in ("lifespan.startup.complete", "lifespan.shutdown.complete"):
            raise RuntimeError(message["message"])
        started.set()

    scope: Any = {"type": "lifespan", "asgi": {"version": "3.0"}, "state": {}}
    await app(scope, receive, send)


async def _requests(app: ASGIApp, headers: list[tuple[bytes, bytes]]) -> None:
    statuses: set[int] = set()

    async def receive() -> Any:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Any) -> None:
        statuses.add(message.get("status", 200))

    for _ in range(_REQUESTS):
        scope: Any = {
            **{"type": "http", "asgi": {"version": "3.0", "spec_version": "2.3"}, "http_version": "1.1"},
            **{"method": "GET", "scheme": "http", "root_path": "", "query_string": b"", "state": {}},
            **{"path": PATH, "raw_path": PATH.encode(), "headers": [(b"host", b"127.0.0.1"), *headers]},
            **{"server": ("127.0.0.1", 80), "client": ("127.0.0.1", 50_000)},
        }
        await app(scope, receive, send)
    if statuses != {200}:
        raise RuntimeError(f"not every answer was 200: {statuses}")


def _traced(requests: Coroutine[Any, Any, None]) -> Counter[CodeType]:
    """The instructions by function. The requests wait for nothing, so that no other task runs meanwhile."""
    counts: Counter[CodeType] = Counter()

    def trace(frame: FrameType, event: str, _argument: object) -> Callable[..., Any]:
        if event == "call":
            frame.f_trace_opcodes, frame.f_trace_lines = True, False
        elif event == "opcode":
            counts[frame.f_code] += 1
        return trace

    sys.settrace(trace)
    try:
        requests.send(None)
    except StopIteration:
        return counts
    finally:
        sys.settrace(None)
    raise RuntimeError("a request waited")


if __name__ == "__main__":
    main()
