"""The clients of both SDKs behind one interface: Python in this process, and TypeScript in a Node process."""

from __future__ import annotations

import asyncio
import itertools
import json
import subprocess
from collections.abc import AsyncIterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol, TypeVar

from scripts.sdk.python.griddy import AsyncGriddy, Griddy, GriddyError, RetryPolicy
from tests.clients.griddy_package import place
from tests.support.node_packages import NODE

FIELDS = ("status", "detail", "request_id", "missing", "errors", "retry_after")
Each = TypeVar("Each")


@dataclass(frozen=True, slots=True)
class Call:
    """A call of a client that is made for it.

    `do` is `request`, or `list` or `retrieve` of a `resource`; a list is read to at most `limit` rows. Several `tokens`
    are those of a function, in their order.
    """

    url: str
    method: str = "GET"
    path: str = "/x"
    json: Any = None
    do: str = "request"
    resource: str = "teams"
    id: Any = 1
    limit: int = 100
    tokens: Sequence[str] = ("t",)
    retries: int = 3
    first_wait: float = 0.02
    longest_wait: float = 30.0
    timeout: float = 10.0


@dataclass(frozen=True, slots=True)
class Result:
    """What a call returned, or which error it raised with its fields, or why it was refused before it was sent."""

    value: Any = None
    error: str = ""
    message: str = ""
    fields: dict[str, Any] | None = None
    refused: str = ""
    tokens: int = 0  # how many the function returned

    def __getitem__(self, field: str) -> Any:
        return (self.fields or {})[field]


class Caller(Protocol):
    """A client in one of its forms."""

    def __call__(self, call: Call) -> Result:
        """Make a call."""


class Tokens:
    """Returns a token after another, the last one again and again."""

    def __init__(self, tokens: Sequence[str]) -> None:
        self._tokens = tokens
        self.returned = 0

    def __call__(self) -> str:
        token = self._tokens[min(self.returned, len(self._tokens) - 1)]
        self.returned += 1
        return token


def call_sync(call: Call) -> Result:
    """Make a call with the synchronous client for Python."""
    tokens = Tokens(call.tokens)
    policy = RetryPolicy(retries=call.retries, first_wait=call.first_wait, longest_wait=call.longest_wait)
    try:
        token = tokens if len(call.tokens) > 1 else call.tokens[0]
        with Griddy(call.url, token, timeout=call.timeout, retry=policy) as griddy:
            if call.do == "request":
                return Result(griddy.request(call.method, call.path, json=call.json), tokens=tokens.returned)
            resource = getattr(griddy, call.resource)
            if call.do == "retrieve":
                return Result(resource.retrieve(call.id), tokens=tokens.returned)
            return Result(list(itertools.islice(resource.list(), call.limit)), tokens=tokens.returned)
    except (GriddyError, ValueError) as error:
        return _failure(error, tokens)


def call_async(call: Call) -> Result:
    """Make a call with the asynchronous client for Python, and a token of an asynchronous function."""
    return asyncio.run(_call_async(call))


async def _call_async(call: Call) -> Result:
    tokens = Tokens(call.tokens)
    policy = RetryPolicy(retries=call.retries, first_wait=call.first_wait, longest_wait=call.longest_wait)

    async def current() -> str:
        return tokens()

    try:
        token = current if len(call.tokens) > 1 else call.tokens[0]
        async with AsyncGriddy(call.url, token, timeout=call.timeout, retry=policy) as griddy:
            if call.do == "request":
                value = await griddy.request(call.method, call.path, json=call.json)
                return Result(value, tokens=tokens.returned)
            resource = getattr(griddy, call.resource)
            if call.do == "retrieve":
                return Result(await resource.retrieve(call.id), tokens=tokens.returned)
            return Result([row async for row in _first(resource.list(), call.limit)], tokens=tokens.returned)
    except (GriddyError, ValueError) as error:
        return _failure(error, tokens)


async def _first(rows: AsyncIterator[Each], limit: int) -> AsyncIterator[Each]:
    for _ in range(limit):
        try:
            yield await anext(rows)
        except StopAsyncIteration:
            return


def _failure(error: GriddyError | ValueError, tokens: Tokens) -> Result:
    if not isinstance(error, GriddyError):
        return Result(refused=str(error), tokens=tokens.returned)
    fields = {name: getattr(error, name, None) for name in FIELDS} if hasattr(error, "status") else None
    if fields and fields["missing"] is not None:
        fields["missing"] = list(fields["missing"])
    return Result(error=type(error).__name__, message=str(error), fields=fields, tokens=tokens.returned)


class NodeCaller:
    """The client for TypeScript as it is installed in a directory, in a Node process."""

    def __init__(self, directory: Path) -> None:
        driver = place(directory, "sdk_driver.mjs", (Path(__file__).parent / "sdk_driver.mjs").read_text())
        self._node = subprocess.Popen(
            [NODE, driver], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )

    def __call__(self, call: Call) -> Result:
        return Result(**self._ask(asdict(call)))

    def read(self, **headers: Sequence[str]) -> dict[str, list[Any]]:
        """How the client reads header fields, by the name of its function."""
        answer: dict[str, list[Any]] = self._ask({"read": headers})
        return answer

    def _ask(self, order: dict[str, Any]) -> Any:
        assert self._node.stdin
        assert self._node.stdout
        self._node.stdin.write(json.dumps(order) + "\n")
        self._node.stdin.flush()
        return json.loads(self._node.stdout.readline())

    def stop(self) -> tuple[int, str]:
        """End it, and return its exit code and what it wrote to standard error."""
        _, errors = self._node.communicate(timeout=20)
        return self._node.returncode, errors
