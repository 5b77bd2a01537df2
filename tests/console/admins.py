"""Users with the permissions of the administration pages, and hostile strings that callers may choose."""

from __future__ import annotations

import html
import re
from collections.abc import Mapping

import httpx

from tests.console.sessions import Person, sign_in
from tests.support.server import Server

LOOKS = ("policies:read", "decisions:read", "keys:read", "audit:read", "apps:read")
EVERYTHING = (*LOOKS, "policies:write", "keys:write", "apps:write", "catalog:read")
PAGES = {
    "/console/policy": "policies:read",
    "/console/policy/matrix": "policies:read",
    "/console/policy/simulator": "policies:read",
    "/console/policy/history": "policies:read",
    "/console/policy/edit": "policies:write",
    "/console/replicas": "policies:read",
    "/console/decisions": "decisions:read",
    "/console/all-keys": "keys:read",
    "/console/admin-actions": "audit:read",
    "/console/registered-apps": "apps:read",
}
EDIT = "/console/policy/edit"
READ = "p, catalog:read, /api/v1/teams/**, GET|HEAD, allow"
OTHER = "p, holdings:read, /api/v1/teams/**, GET|HEAD, allow"
# Each with the text that a page must show.
HOSTILE_TEXTS = {
    "<script>alert(1)</script>": "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>': '"><img src=x onerror=alert(1)>',
    "{{ 7 * 7 }} ${7*7} {% raw %}": "{{ 7 * 7 }} ${7*7} {% raw %}",
    "abc\u202edcba\u2066x": "abc⟨U+202E⟩dcba⟨U+2066⟩x",
    "a\u200bb\ufeffc\u0085d": "a⟨U+200B⟩b⟨U+FEFF⟩c⟨U+0085⟩d",
    "Ω≈ç√ 田中さん 👩🏽 الكل": "Ω≈ç√ 田中さん 👩🏽 الكل",
}


def officer(server: Server, *permissions: str) -> Person:
    """A signed-in administrator, by default with all permissions of the administration pages."""
    return sign_in(server, "user_officer", permissions or EVERYTHING, name="Olga Officer")


def words(page: str) -> str:
    """The visible text of a page."""
    return html.unescape(re.sub(r"<[^>]+>", "", page.partition("<main")[2]))


def active(person: Person) -> str:
    """The revision on which the editor bases a draft."""
    found = re.search(r'name="parent" value="([0-9a-f]{16})"', person.get("/console/policy/edit").text)
    assert found
    return found[1]


def file(server: Server, name: str) -> str:
    """The text of a policy file on disk."""
    return (server.policy_dir / name).read_text()


def changed(server: Server, old: str, new: str) -> dict[str, str]:
    """The fields of a draft with a change to catalog.csv, as a browser sends them."""
    text = file(server, "catalog.csv")
    assert old in text
    return {"file": "catalog.csv", "text": text.replace(old, new).replace("\n", "\r\n")}


def send(person: Person, path: str, **fields: str) -> httpx.Response:
    """Send a form of the editor, by default based on the active revision."""
    return person.post(f"{EDIT}{path}", **{"parent": active(person), **fields})


def publish(person: Person, fields: Mapping[str, str], **more: str) -> httpx.Response:
    """Publish a draft with a message, and accept that shipped cases fail."""
    return send(person, "/publish", **{"message": "A change.", "accept": "The cases follow.", **fields, **more})
