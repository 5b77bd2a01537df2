"""The headers in which the pages of a consent differ from others, and the sign-in that leads to them."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from urllib.parse import urlsplit

from app.console.page import with_form_targets

CONSENT = "/console/consent/"
# `same-origin` would cut a pop-up off from the window of the app that opened it.
POPUP_HEADERS: Mapping[str, str] = MappingProxyType({"Cross-Origin-Opener-Policy": "unsafe-none"})


def consent_headers(redirect_uri: str) -> dict[str, str]:
    """The headers of a page whose form leads to the redirect of an app."""
    return {**POPUP_HEADERS, **with_form_targets(form_target(redirect_uri))}


def form_target(redirect_uri: str) -> str:
    """The source of a content security policy that matches a redirect, and where the app leads the browser from there.

    Chrome applies `form-action` to each redirect after a form: with the host alone, an app whose address for the answer
    redirects to another of its hosts would get its code, and its user would stay on this page without a message.
    """
    return f"{urlsplit(redirect_uri).scheme}:"  # `http:` matches https, too (CSP Level 3 section 6.7.2.9)
