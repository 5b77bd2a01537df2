"""The pages of the local issuer and of the sample app."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from app.dev.people import SampleUser
from app.dev.wire import RelyingParty

_HERE = Path(__file__).parent / "pages"
STYLE = (_HERE / "issuer.css").read_bytes()
_pages = Environment(
    loader=FileSystemLoader(_HERE), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
)


def sign_in_page(client: RelyingParty, request: Mapping[str, str], people: tuple[SampleUser, ...]) -> str:
    """The page to choose a user. `request` has the parameters of the authorization request, which the form repeats."""
    return _pages.get_template("sign_in.html").render(client=client, request=request, people=people)


def message_page(heading: str, text: str) -> str:
    """A page with a message."""
    return _pages.get_template("message.html").render(heading=heading, text=text)


def sample_page(
    heading: str,
    text: str,
    *,
    calls: Mapping[str, str] | None = None,
    connect: str = "",
    again: str = "",
    console: str = "",
) -> str:
    """A page of the sample app: `calls` of the API with their results and a link to repeat them, `again`; a link to
    `connect`; and one to the apps that the user allowed, at the console of `console`.
    """
    return _pages.get_template("sample.html").render(
        heading=heading, text=text, calls=calls or {}, connect=connect, again=again, console=console
    )
