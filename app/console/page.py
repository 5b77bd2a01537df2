"""Renders pages, with safe headers."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from litestar import MediaType, Response
from litestar.datastructures import Cookie

from app.console.cookies import csrf_token, session_token
from app.console.formatting import ago, number, plural, verbatim, visible
from app.console.nav import Group, open_to, section_of
from app.http.door.refusal import Refusal
from app.http.door.request_context import link_context
from app.http.door.time_slice import TimeSlice
from app.identity.principal import ANONYMOUS, Principal
from app.policy.engine.snapshot import Snapshot
from app.policy.language.when.condition import NO_CONTEXT, Context
from app.services import AnyRequest, services_of

_HERE = Path(__file__).parent
_SOURCES = (
    "default-src 'none'",
    "style-src 'self'",
    "script-src 'self'",
    "img-src 'self'",
    "connect-src 'self'",
    "form-action 'self'",
    "base-uri 'none'",
    "frame-ancestors 'none'",
)
SAFE_HEADERS: Mapping[str, str] = {
    "Content-Security-Policy": "; ".join(_SOURCES),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
# Pages are personal, and some show a secret once.
_HEADERS: Mapping[str, str] = {**SAFE_HEADERS, "Cache-Control": "no-store"}

STATIC: Mapping[str, bytes] = {file.name: file.read_bytes() for file in sorted((_HERE / "static").iterdir())}
_DIGESTS = {name: hashlib.sha256(content).hexdigest()[:12] for name, content in STATIC.items()}


def static(name: str) -> str:
    """The address of a static file, which changes with its content."""
    return f"/console/static/{name}?v={_DIGESTS[name]}"


def _templates() -> Environment:
    templates = Environment(
        loader=FileSystemLoader(_HERE / "pages"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=visible,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    templates.filters.update(ago=ago, number=number, plural=plural, verbatim=verbatim)
    templates.globals.update(static=static)
    return templates


_pages = _templates()


def page(request: AnyRequest, template: str, *, status: int = 200, **values: object) -> Response[str]:
    """Render `pages/<template>` with navigation, CSRF token and safe headers."""
    text = _text(request, template, _nav_of(request), values)
    return Response(text, status_code=status, media_type=MediaType.HTML, headers=dict(_HEADERS))


async def long_page(request: AnyRequest, template: str, *, status: int = 200, **values: object) -> Response[str]:
    """Render a page with a long list in time slices, between which other requests are answered."""
    time_slice = TimeSlice(services_of(request.app).long_work.give_way)
    parts: list[str] = []
    for part in _parts(template, _values(request, _nav_of(request), values)):
        parts.append(part)
        if time_slice.is_over:
            await time_slice.next()
    return Response("".join(parts), status_code=status, media_type=MediaType.HTML, headers=dict(_HEADERS))


def page_for_app(
    request: AnyRequest,
    template: str,
    headers: Mapping[str, str],
    *,
    status: int = 200,
    cookies: Iterable[Cookie] = (),
    **values: object,
) -> Response[str]:
    """Render a page to which an app leads: without navigation, and with `headers` that replace safe ones."""
    text = _text(request, template, [], values)
    headers = {**_HEADERS, **headers}
    return Response(text, status_code=status, media_type=MediaType.HTML, headers=headers, cookies=list(cookies))


def _nav_of(request: AnyRequest) -> list[Group]:
    """The navigation of a caller."""
    principal: Principal = request.scope.get("user") or ANONYMOUS
    if principal.method == "anonymous":
        return []
    snapshot = services_of(request.app).live.active
    return open_to(principal, snapshot, lambda path: _link_context(request, snapshot, path, "GET"))


def _text(request: AnyRequest, template: str, nav: list[Group], values: Mapping[str, object]) -> str:
    return "".join(_parts(template, _values(request, nav, values)))


def _parts(template: str, values: Mapping[str, object]) -> Iterator[str]:
    found = _pages.get_template(template)
    context = found.new_context(dict(values))
    try:
        yield from found.root_render_func(context)
    finally:
        # A macro of the template refers to its context, which has it: all values of the page would be in the cycle.
        context.vars.clear()


def _values(request: AnyRequest, nav: list[Group], values: Mapping[str, object]) -> dict[str, object]:
    """The variables of a page."""
    principal: Principal = request.scope.get("user") or ANONYMOUS
    here = request.scope["path"]
    return {
        "brand": services_of(request.app).settings.api_title.removesuffix(" API"),
        "principal": principal,
        "name": principal.claims.get("name") or principal.subject,
        "nav": nav,
        "here": here,
        "section": section_of(nav, here),
        "csrf": csrf_of(request) if principal.method != "anonymous" else "",
        "revision": services_of(request.app).live.active.revision,
        "now": datetime.now(UTC),
        **values,
    }


def with_form_targets(*targets: str) -> dict[str, str]:
    """The header with which Chrome lets a form lead, by a redirect, to other addresses than our own."""
    sources = (
        f"form-action 'self' {' '.join(targets)}" if source.startswith("form-") else source for source in _SOURCES
    )
    return {"Content-Security-Policy": "; ".join(sources)}


def render(template: str, **values: object) -> str:
    """Render a part of a page, for the script that inserts it."""
    return _pages.get_template(template).render(**values)


def plain_page(
    status: int,
    title: str,
    text: str,
    *,
    facts: Mapping[str, str] | None = None,
    link: tuple[str, str] = ("/console", "To the console"),
) -> Refusal:
    """A complete response with a short page that needs no session."""
    body = (
        _pages.get_template("plain.html").render(heading=title, text=text, facts=dict(facts or {}), link=link).encode()
    )
    headers = {**_HEADERS, "Content-Type": "text/html; charset=utf-8", "Content-Length": str(len(body))}
    return Refusal(status, tuple((name.lower().encode(), value.encode()) for name, value in headers.items()), body)


def csrf_of(request: AnyRequest) -> str:
    """The CSRF token of the session; empty without one."""
    console = services_of(request.app).console
    token = session_token(request.scope["headers"], secure=console.secure) if console else None
    return csrf_token(token) if token else ""


def may_open(request: AnyRequest, path: str, method: str = "GET") -> bool:
    """Whether the policy lets the user open a page, or send a form, so that no link leads to a refusal."""
    snapshot = services_of(request.app).live.active
    return bool(snapshot.decide(request.user.held, path, method, _link_context(request, snapshot, path, method)))


def _link_context(request: AnyRequest, snapshot: Snapshot, path: str, method: str) -> Context:
    """The variables of conditions about a link on the page of a request."""
    if not snapshot.is_conditional(path, method):
        return NO_CONTEXT
    return link_context(request.scope, request.user, snapshot, path, method, proxies=services_of(request.app).proxies)


def see_other(path: str, *cookies: Cookie, headers: Mapping[str, str] | None = None) -> Response[None]:
    """Redirect to another page with GET, as after a form. `headers` replace safe ones."""
    return Response(None, status_code=303, headers={**_HEADERS, "Location": path, **(headers or {})}, cookies=cookies)
