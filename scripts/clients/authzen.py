"""Ask a decision point over OpenID AuthZEN 1.0. Copy this file into a service; it needs httpx alone.

    async with DecisionPoint("https://authz.example.com", os.environ["AUTHZEN_TOKEN"]) as pdp:
        question: Question = {
            "subject": {"type": "user", "id": "alice"},
            "action": {"name": "read"},
            "resource": {"type": "record", "id": "record-1"},
        }
        verdict = await pdp.evaluate(question)
        if not verdict:
            if verdict.failure:  # no decision: tell the operator of the service
                log.error("authorization failed: %s (%s)", verdict.failure, verdict.request_id)
            raise Forbidden
        records = [record for record, verdict in zip(records, await pdp.evaluate_all(questions)) if verdict]

Make one when the service starts and keep it, for it keeps its connections. The token is an API key or a JWT that
holds `decisions:evaluate`. Whatever goes wrong is a verdict that denies, never an exception: no connection, no answer
in time, a status other than 200, a redirect, a body that is not what AuthZEN says. Only `decision: true` allows.

A service that is called with bearer tokens asks about the token itself, which needs `tokens:introspect` too:

        verdict = await pdp.evaluate_token(token, "GET", {"type": "route", "id": "orders:/v1/orders/7"})
        if not verdict:
            return Response(status=verdict.status, headers=verdict.headers)

A forgotten `await` would be true; mypy finds it with `enable_error_code = ["truthy-bool"]`.
"""

from __future__ import annotations

import asyncio
import json
import random
import re
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, NoReturn, NotRequired, Self, TypedDict

import httpx

EVALUATION = "/access/v1/evaluation"
EVALUATIONS = "/access/v1/evaluations"
MAX_BATCH = 1000
MAX_ANSWER = 4_000_000  # bytes; a thousand explained decisions are a tenth of that
_TOKEN = re.compile(r"[A-Za-z0-9._~+/-]+=*")  # RFC 6750, section 2.1
_SECONDS = re.compile(r"[0-9]{1,4}")
_HINTS = {401: ": it does not take our token", 403: ": our token lacks decisions:evaluate or tokens:introspect"}


class Entity(TypedDict):
    """A subject or a resource."""

    type: str
    id: str
    properties: NotRequired[Mapping[str, Any]]


class Action(TypedDict):
    """What is to be done."""

    name: str
    properties: NotRequired[Mapping[str, Any]]


class Question(TypedDict):
    """May the subject do the action on the resource?"""

    subject: Entity
    action: Action
    resource: Entity
    context: NotRequired[Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Verdict:
    """An answer, true only when the decision point allowed it.

    `failure` says why there is no decision, and is empty when the decision point did. It never holds the token.
    `request_id` was sent as `X-Request-ID`: the decision point's log has it too.
    """

    allowed: bool
    failure: str
    request_id: str

    def __bool__(self) -> bool:
        return self.allowed


@dataclass(frozen=True, slots=True)
class Caller:
    """Who sent a token. `type` is `user`, `key` or `app`; a key or an app, `id`, acts for the user `owner`."""

    type: str
    id: str
    owner: str
    permissions: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class TokenVerdict:
    """An answer about a token, true only when the decision point allowed it.

    `status` is what to answer to the caller: 200, 401, 403, 429 after too many bad tokens, or 503 if there is no
    decision. `challenge` is the header `WWW-Authenticate` of a 401 or 403, `retry_after` are the seconds of a 429 or
    503. `caller` is there for a token that is accepted. `failure` as in a Verdict.
    """

    status: int
    challenge: str
    caller: Caller | None
    failure: str
    request_id: str
    retry_after: int = 1

    def __bool__(self) -> bool:
        return self.status == 200

    @property
    def headers(self) -> dict[str, str]:
        """The headers of the answer to the caller, without those of its body."""
        if self.status in (429, 503):
            return {"Retry-After": str(self.retry_after)}
        return {"WWW-Authenticate": self.challenge} if self.challenge else {}


class DecisionPoint:
    """A PDP at a base URL. `timeout` is seconds for a whole call: all its batches, and trying again."""

    def __init__(self, url: str, token: str, *, timeout: float = 1.0, batch: int = 100) -> None:
        """Raises ValueError for settings with which no call could ever succeed."""
        try:
            where = httpx.URL(url)
        except httpx.InvalidURL as error:
            raise ValueError(f"the URL cannot be read: {error}") from None
        if where.scheme not in ("http", "https") or not where.host or where.userinfo or where.query or where.fragment:
            raise ValueError("the URL must be http or https, with a host, without credentials, query and fragment")
        if not _TOKEN.fullmatch(token):
            raise ValueError("the token is empty or has characters that no bearer token has")
        if not timeout > 0:
            raise ValueError("the timeout must be more than 0 seconds")
        if not 1 <= batch <= MAX_BATCH:
            raise ValueError(f"a batch has 1 to {MAX_BATCH} questions")
        headers = {
            "Authorization": f"Bearer {token}",
            "Content-Type": "application/json",
            "Accept": "application/json",
            "Accept-Encoding": "identity",
        }
        self._timeout, self._batch = timeout, batch
        # Its own timeouts are for each read, so that a slow sender could go on for ever: ours is for the call.
        self._http = httpx.AsyncClient(base_url=where, headers=headers, timeout=None, follow_redirects=False)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._http.aclose()

    async def evaluate(self, question: Question) -> Verdict:
        """Whether the decision point allows it."""
        request_id, deadline = self._start()
        try:
            async with asyncio.timeout_at(deadline):
                answer = await self._ask(EVALUATION, _encode(question), request_id, deadline)
        except Exception as error:  # noqa: BLE001  # whatever went wrong, it was not allowed
            return Verdict(False, self._told(error), request_id)
        return _verdict(answer, request_id)

    async def evaluate_token(self, token: str, action: str, resource: Entity, *, ip: str = "") -> TokenVerdict:
        """Whether the decision point accepts the token, and allows its caller the action.

        With `ip`, the address that sent the token, its bad tokens are counted for that address alone.
        """
        request_id, deadline = self._start()
        if not token:
            return TokenVerdict(401, "Bearer", None, "", request_id)
        question: Question = {
            "subject": {"type": "token", "id": token},
            "action": {"name": action},
            "resource": resource,
        }
        if ip:
            question["context"] = {"ip": ip}
        try:
            async with asyncio.timeout_at(deadline):
                answer = await self._ask(EVALUATION, _encode(question), request_id, deadline)
            return _token_verdict(answer, request_id)
        except Exception as error:  # noqa: BLE001  # whatever went wrong, it was not allowed
            return TokenVerdict(503, "", None, self._told(error), request_id)

    async def evaluate_all(self, questions: Iterable[Question]) -> list[Verdict]:
        """A verdict for each question, in order, asked in batches.

        A question that cannot be sent is denied alone. A batch without an answer ends the call: what it asked and what
        was still to be asked is denied, and a decision point in trouble is left in peace.
        """
        request_id, deadline = self._start()
        verdicts: list[Verdict | None] = []
        sendable: list[tuple[int, bytes]] = []
        for place, question in enumerate(questions):
            verdicts.append(None)
            try:
                sendable.append((place, _encode(question)))
            except Unanswered as error:
                verdicts[place] = Verdict(False, str(error), request_id)
        failure = ""
        try:
            async with asyncio.timeout_at(deadline):
                for start in range(0, len(sendable), self._batch):
                    batch = sendable[start : start + self._batch]
                    body = b'{"evaluations":[' + b",".join(item for _, item in batch) + b"]}"
                    answers = _items(await self._ask(EVALUATIONS, body, request_id, deadline), len(batch))
                    for (place, _), answer in zip(batch, answers, strict=True):
                        verdicts[place] = _verdict(answer, request_id)
        except Exception as error:  # noqa: BLE001  # whatever went wrong, the rest was not allowed
            failure = self._told(error)
        return [Verdict(False, failure, request_id) if verdict is None else verdict for verdict in verdicts]

    def _start(self) -> tuple[str, float]:
        return uuid.uuid4().hex, asyncio.get_running_loop().time() + self._timeout

    async def _ask(self, path: str, body: bytes, request_id: str, deadline: float) -> Any:
        """The JSON that was answered. An evaluation changes nothing, so one more try is safe, if there is time."""
        try:
            return await self._post(path, body, request_id)
        except (httpx.NetworkError, httpx.RemoteProtocolError, Busy) as error:
            pause = max(random.uniform(0.01, 0.05), error.retry_after if isinstance(error, Busy) else 0)
            if asyncio.get_running_loop().time() + pause >= deadline:
                raise
        await asyncio.sleep(pause)
        return await self._post(path, body, request_id)

    async def _post(self, path: str, body: bytes, request_id: str) -> Any:
        content = bytearray()
        async with self._http.stream("POST", path, content=body, headers={"X-Request-ID": request_id}) as answer:
            status = answer.status_code
            if status == 503:
                raise Busy(answer.headers.get("Retry-After", "0"))
            if status != 200:
                raise Unanswered(f"the decision point answered {status}{_HINTS.get(status, '')}")
            async for piece in answer.aiter_raw():
                content += piece
                if len(content) > MAX_ANSWER:
                    raise Unanswered(f"the answer is longer than {MAX_ANSWER} bytes")
        return _decode(bytes(content))

    def _told(self, error: Exception) -> str:
        """What went wrong, without a word of what the other side sent: it could be our own token."""
        if isinstance(error, Unanswered):
            return str(error)
        if isinstance(error, TimeoutError):
            return f"no answer within {self._timeout:g} s"
        if isinstance(error, httpx.ConnectError):
            return f"cannot connect: {error}"
        return f"no answer: {type(error).__name__}"


class Unanswered(Exception):
    """There is no decision, and why. Private to this file."""


class Busy(Unanswered):
    """503. `retry_after` is in seconds, and more than anyone waits when it was given as a date."""

    def __init__(self, retry_after: str) -> None:
        super().__init__("the decision point answered 503: it cannot decide now")
        self.retry_after = float(retry_after) if _SECONDS.fullmatch(retry_after) else float("inf")


def _encode(question: Question) -> bytes:
    try:
        return json.dumps(question, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise Unanswered(f"the question cannot be sent as JSON: {type(error).__name__}") from None


def _decode(content: bytes) -> Any:
    try:
        return json.loads(content.decode(), parse_constant=_refuse)
    except (ValueError, RecursionError):
        raise Unanswered("the answer is not JSON") from None


def _refuse(constant: str) -> NoReturn:
    raise ValueError(constant)


def _items(answer: Any, asked: int) -> Sequence[Any]:
    items = answer.get("evaluations") if isinstance(answer, dict) else None
    if not isinstance(items, list):
        raise Unanswered("the answer has no list of evaluations")
    if len(items) != asked:  # which answers which is then anyone's guess
        raise Unanswered(f"the answer has {len(items)} decisions for {asked} questions")
    return items


def _verdict(answer: Any, request_id: str) -> Verdict:
    decision = answer.get("decision") if isinstance(answer, dict) else None
    if not isinstance(decision, bool):
        return Verdict(False, "the answer's decision is neither true nor false", request_id)
    return Verdict(decision, "", request_id)


def _token_verdict(answer: Any, request_id: str) -> TokenVerdict:
    """Raises Unanswered for an answer whose parts do not agree."""
    decision = _verdict(answer, request_id)
    context = answer.get("context") if isinstance(answer, dict) else None
    if decision.failure or not isinstance(context, dict):
        raise Unanswered("the answer says nothing about the token")
    status, challenge = context.get("status"), context.get("challenge", "")
    caller = _caller(context.get("subject"))
    if status not in (200, 401, 403, 429) or decision.allowed is not (status == 200) or not isinstance(challenge, str):
        raise Unanswered("the answer about the token contradicts itself")
    if (caller is None) is not (status in (401, 429)) or not challenge.isprintable():
        raise Unanswered("the answer does not say who sent the token")
    seconds = context.get("retry_after", 1)
    if type(seconds) is not int or not 0 < seconds < 10_000:
        raise Unanswered("the answer does not say when to try again")
    return TokenVerdict(status, challenge, caller, "", request_id, seconds)


def _caller(subject: Any) -> Caller | None:
    if not isinstance(subject, dict):
        return None
    permissions = subject.get("permissions", [])
    names = (subject.get("type"), subject.get("id"), subject.get("owner", ""))
    if not isinstance(permissions, list) or not all(isinstance(each, str) for each in (*names, *permissions)):
        return None
    kind, identity, owner = map(str, names)
    return Caller(kind, identity, owner, tuple(permissions)) if kind in ("user", "key", "app") and identity else None
