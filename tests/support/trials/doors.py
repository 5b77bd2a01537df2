"""The same verdict for a caller at every door: the application, each gateway, and AuthZEN."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from app.assembly import route_table
from app.console.authorization_entrance import PATH as AUTHORIZATION
from app.console.config import is_page
from app.db.session import Sessions
from app.http.api.oauth.entrance import CLIENT_ENDPOINTS
from app.oauth.people_blocks import block_person
from app.policy.routing.routes import Route
from tests.gateway.conftest import ROWS, World, built
from tests.oauth.flows import BY, NOW
from tests.oauth.served import ServedApp, in_database
from tests.support.issuer import LiveIssuer

PUBLIC_URL = "https://api.example"
# What the shipped policy has no row for: users with a role, denials of users and of an app, and apps of another
# authorization server. Each user has one kind of credentials, since the requests of one may end the others.
_MORE_ROWS = """\
p, app-kind:external, scope:catalog:read, ask, allow
g, user:user_admin, role:admin
g, user:user_root, role:admin
p, user:user_eve, /api/v1/teams/**, GET, deny
p, user:user_eva, /api/v1/teams/**, GET, deny
p, app:{denied}, /api/v1/leagues/**, GET, deny
p, auth:api_key org:org_1, /api/v1/venues/**, GET, allow
p, auth:api_key, /api/v1/franchises/**, GET, allow, subject.org.id == 'org_1' && subject.owner == 'org:org_1'
"""
_BOTH = ("catalog:read", "holdings:read")
# Pages read the cookie of a session and no token, so only the application has a door for them.
ROUTES = tuple(route for route in route_table().routes if not is_page(route.template))
# Here the application reads no bearer token, so it does not refuse one that is not accepted.
_UNREAD = frozenset(route for route in ROUTES if route.template in (*CLIENT_ENDPOINTS, AUTHORIZATION))


@dataclass(frozen=True, slots=True)
class DoorCaller:
    """A caller. One that is not `accepted` has credentials that every door refuses."""

    name: str
    token: str | None
    accepted: bool = True


class DoorTrial:
    """A server, gateways in front of a service with the routes of the application, and callers of each kind."""

    def __init__(self, world: World, issuer: LiveIssuer) -> None:
        self.world = world
        self._issuer = issuer
        self._doors = {"app": world.server.url}
        self._doors |= {name: f"http://127.0.0.1:{gateway.port}" for name, gateway in world.gateways.items()}
        self._pep = issuer.token(sub="user_pep", permissions=["decisions:evaluate", "tokens:introspect"], exp=2**33)
        self.callers: Sequence[DoorCaller] = (
            DoorCaller("anonymous", None),
            *(DoorCaller(f"user with {held or 'nothing'}", self._user(held)) for held in _USERS),
            DoorCaller("user with a role", self._user("", sub="user_admin")),
            DoorCaller("denied user", self._user("catalog:read", sub="user_eve")),
            DoorCaller("member of an organization", self._member()),
            DoorCaller("key", self._key("user_keys", "catalog:read", "holdings:write")),
            DoorCaller("key of an organization", self._organization_key("holdings:write")),
            DoorCaller("key of another organization", self._organization_key("holdings:write", org="org_2")),
            DoorCaller("key of a denied user", self._key("user_evi", "catalog:read")),
            *self._apps(),
            DoorCaller("app of a blocked user", self._app("user_gone"), accepted=False),
            DoorCaller("key of a blocked user", self._key("user_gone", "catalog:read"), accepted=False),
            DoorCaller("app of a user who ended all", self._ended_app("user_over"), accepted=False),
            DoorCaller("app for another resource", self._app("user_ann", resource="https://else.example"), False),
            DoorCaller("token of another issuer", issuer.token(iss="https://else.example"), accepted=False),
        )
        in_database(world.server, _block)

    def differences(self, caller: DoorCaller, *, routes: int | None = None, seed: int = 1) -> Iterator[str]:
        """Yield where the doors disagree about a caller: at all routes, or at a number of them.

        Of these, as many are chosen as possible that AuthZEN allows, and as many that it denies.
        """
        decisions = self._authzen(caller) if caller.accepted else dict.fromkeys(ROUTES, False)
        chosen = ROUTES if routes is None else _chosen(decisions, routes, random.Random(f"{seed} {caller.name}"))
        headers = {"Authorization": f"Bearer {caller.token}"} if caller.token else {}
        with ExitStack() as stack:
            clients = {
                name: stack.enter_context(httpx.Client(base_url=url, headers=headers, timeout=20))
                for name, url in self._doors.items()
            }
            for route in chosen:
                if not caller.accepted and route in _UNREAD:
                    continue
                found = {name: _verdict(client, route) for name, client in clients.items()}
                status = found["app"][0]
                if len(set(found.values())) > 1:
                    yield f"{caller.name}, {route}: {found}"
                elif caller.accepted and (status == 200) is not decisions[route]:
                    yield f"{caller.name}, {route}: {status}, and AuthZEN {decisions[route]}"
                elif not caller.accepted and status != 401:
                    yield f"{caller.name}, {route}: {status}, although the credentials are not accepted"
        if caller.accepted and len(set(decisions.values())) < 2:
            yield f"{caller.name}: one verdict for all routes proves nothing"

    def _user(self, held: str, sub: str = "user_test", **claims: Any) -> str:
        return self._issuer.token(sub=sub, permissions=held.split(), exp=2**33, **claims)

    def _member(self) -> str:
        organization = {"org_id": "org_1", "org_role": "org:admin", "org_permissions": ["org:holdings:read"]}
        return self._user("catalog:read", sub="user_member", **organization)

    def _organization_key(self, *scopes: str, org: str = "org_1") -> str:
        stated = [f"org:{scope}" for scope in ("org-keys:write", *scopes)]
        with self.world.server.client(self._user("", org_id=org, org_permissions=stated)) as client:
            body = {"name": "k", "scopes": scopes, "environment": "test"}
            made = client.post(f"/api/v1/orgs/{org}/api-keys/", json=body)
        assert made.status_code == 201, made.text
        key: str = made.json()["plaintext"]
        return key

    def _key(self, owner: str, *scopes: str) -> str:
        with self.world.server.client(self._user(" ".join(scopes), sub=owner)) as client:
            made = client.post("/api/v1/api-keys", json={"name": "k", "scopes": scopes, "environment": "test"})
        assert made.status_code == 201, made.text
        key: str = made.json()["plaintext"]
        return key

    def _app(self, user: str, app: ServedApp | None = None, **stated: Any) -> str:
        found = app or ServedApp(self.world.server)
        return found.stored_tokens(user, **{"resource": PUBLIC_URL, **stated}).access_token

    def _ended_app(self, user: str) -> str:
        token = self._app(user)
        with self.world.server.client(self._user("", sub=user)) as client:
            ended = client.delete("/api/v1/oauth/grants/")
        assert ended.json() == {"ended": 1}, ended.text
        return token

    def _apps(self) -> Iterator[DoorCaller]:
        yield DoorCaller("app", self._app("user_ann"))
        yield DoorCaller("app with one scope", self._app("user_ann", scopes=_BOTH[:1]))
        yield DoorCaller("app of a user with less", self._app("user_bob", permissions=_BOTH[1:]))
        everything = (*_BOTH, "catalog:write", "keys:read", "policies:write")
        yield DoorCaller("app of a user with a role", self._app("user_root", scopes=everything, permissions=()))
        yield DoorCaller("app of a denied user", self._app("user_eva"))
        denied = ServedApp(self.world.server)
        denied.change(client_id=_DENIED_APP)
        denied.app.client_id = denied.client_id = _DENIED_APP
        yield DoorCaller("denied app", self._app("user_ann", denied))
        for name, held in (("app of the issuer", "catalog:read"), ("app of the issuer, of a user with less", "")):
            token = self._user(held, sub="user_amy", client_id="web", scope="openid catalog:read catalog:write")
            yield DoorCaller(name, token)

    def _authzen(self, caller: DoorCaller) -> dict[Route, bool]:
        """The decisions of AuthZEN about the subject that introspection finds, by template and by path."""
        found = [
            self._evaluated(self._subject(caller), [name(route) for route in ROUTES]) for name in (_path, _template)
        ]
        assert found[0] == found[1], f"{caller.name}: the path of a route and its template differ"
        return dict(zip(ROUTES, found[0], strict=True))

    def _subject(self, caller: DoorCaller) -> dict[str, Any]:
        """The AuthZEN subject of a caller, as a service makes it of what introspection says."""
        if caller.token is None:
            return {"type": "anonymous", "id": ""}
        with self.world.server.client(self._pep) as client:
            state = client.post("/oauth/introspect", data={"token": caller.token}).json()
        assert state["active"], caller.name
        user, scope, client_id = state["sub"], state.get("scope", ""), state.get("client_id", "")
        if client_id.startswith("key:"):
            return {"type": "key", "id": client_id.removeprefix("key:")}
        if client_id.startswith("app_"):
            return {"type": "app", "id": client_id, "properties": {"user": user, "scope": scope}}
        if client_id.startswith("settings/"):
            held = {"user": user, "scope": scope, "permissions": scope}
            return {"type": "app", "id": client_id, "properties": held}
        return {"type": "user", "id": user, "properties": {"permissions": scope}}

    def _evaluated(self, subject: dict[str, Any], ids: list[str]) -> list[bool]:
        items = [
            {"action": {"name": route.method}, "resource": {"type": "route", "id": identity}}
            for route, identity in zip(ROUTES, ids, strict=True)
        ]
        with self.world.server.client(self._pep) as client:
            answer = client.post("/access/v1/evaluations", json={"subject": subject, "evaluations": items})
        assert answer.status_code == 200, answer.text
        return [item["decision"] for item in answer.json()["evaluations"]]


_USERS = ("", "catalog:read", "catalog:write", "holdings:read holdings:write", "policies:write")
_DENIED_APP = "app_denied"


def open_trial(stack: ExitStack, place: Path, issuer: LiveIssuer) -> DoorTrial:
    """Start the server and the gateways, which live as long as the stack."""
    rows = ROWS.replace("# end\n", _MORE_ROWS.format(denied=_DENIED_APP) + "# end\n")
    settings = {"public_url": PUBLIC_URL, "organizations": "clerk", "delegated": "true"}
    settings["bad_credentials_per_minute"] = "0"  # more are sent than an address may send
    world = built(stack, place, issuer, "", rows=rows, **settings)
    return DoorTrial(world, issuer)


def _chosen(decisions: dict[Route, bool], number: int, chance: random.Random) -> list[Route]:
    allowed, denied = ([route for route in ROUTES if decisions[route] is each] for each in (True, False))
    some = chance.sample(allowed, min(number // 2, len(allowed)))
    return some + chance.sample(denied, min(number - len(some), len(denied)))


def _verdict(client: httpx.Client, route: Route) -> tuple[int, str]:
    """200 for an allowed request; otherwise the status, with what the challenge names as missing."""
    answer = client.request(route.method, _path(route))
    if answer.status_code in (401, 403):
        return answer.status_code, answer.headers["www-authenticate"]
    return 200, ""


def _path(route: Route) -> str:
    return "/".join("999999" if part.startswith("{") else part for part in route.template.split("/"))


def _template(route: Route) -> str:
    return route.template


async def _block(sessions: Sessions) -> None:
    async with sessions() as session:
        await block_person(session, "user_gone", BY, NOW)
