"""What tests of the security desk share: people with its permissions, and callers who choose naughty strings."""

from __future__ import annotations

import html
import re
from collections.abc import Mapping

import httpx

from tests.console.sessions import Person, sign_in
from tests.support.server import Server

LOOKS = ("policies:read", "decisions:read", "keys:read", "audit:read")
EVERYTHING = (*LOOKS, "policies:write", "keys:write", "catalog:read")
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
}
EDIT = "/console/policy/edit"
READ = "p, catalog:read, /api/v1/teams/**, GET|HEAD, allow"
OTHER = "p, holdings:read, /api/v1/teams/**, GET|HEAD, allow"
# Each with what a page must show of it.
NAUGHTY = {
    "<script>alert(1)</script>": "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>': '"><img src=x onerror=alert(1)>',
    "{{ 7 * 7 }} ${7*7} {% raw %}": "{{ 7 * 7 }} ${7*7} {% raw %}",
    "abc\u202edcba\u2066x": "abc⟨U+202E⟩dcba⟨U+2066⟩x",
    "a\u200bb\ufeffc\u0085d": "a⟨U+200B⟩b⟨U+FEFF⟩c⟨U+0085⟩d",
    "Ω≈ç√ 田中さん 👩🏽 الكل": "Ω≈ç√ 田中さん 👩🏽 الكل",
}


def officer(server: Server, *permissions: str) -> Person:
    """An administrator, with all of its permissions unless some are named."""
    return sign_in(server, "user_officer", permissions or EVERYTHING, name="Olga Officer")


def words(page: str) -> str:
    """What a reader sees of a page."""
    return html.unescape(re.sub(r"<[^>]+>", "", page.partition("<main")[2]))


def active(person: Person) -> str:
    """The revision that the editor begins from."""
    found = re.search(r'name="parent" value="([0-9a-f]{16})"', person.get("/console/policy/edit").text)
    assert found
    return found[1]


def file(server: Server, name: str) -> str:
    """A policy file as it is on the disk."""
    return (server.policy_dir / name).read_text()


def changed(server: Server, old: str, new: str) -> dict[str, str]:
    """The fields of a draft in which catalog.csv reads otherwise, as a browser sends them."""
    text = file(server, "catalog.csv")
    assert old in text
    return {"file": "catalog.csv", "text": text.replace(old, new).replace("\n", "\r\n")}


def send(person: Person, path: str, **fields: str) -> httpx.Response:
    """A form of the editor, from the active revision unless another is named."""
    return person.post(f"{EDIT}{path}", **{"parent": active(person), **fields})


def publish(person: Person, fields: Mapping[str, str], **more: str) -> httpx.Response:
    """Publish a draft, with a message. That shipped cases fail by it is accepted."""
    return send(person, "/publish", **{"message": "A change.", "accept": "The cases follow.", **fields, **more})
