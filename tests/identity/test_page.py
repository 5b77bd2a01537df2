"""`app/identity/README.md` is correct: each cause, each reason, each template, each setting."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from app.identity.claims import ClaimRules
from app.identity.errors import AuthenticationFault, Cause, Unauthenticated
from app.identity.jwk import MAX_KEYS, MAX_LISTED, IgnoredReason
from app.identity.permission_claim import parse_permissions
from app.settings import Settings
from tests.support.server import ROOT

PAGE = (ROOT / "app" / "identity" / "README.md").read_text()
NOW = 1_800_000_000


def section(title: str) -> str:
    return PAGE.partition(f"\n{title}\n")[2].partition("\n#" if title.startswith("###") else "\n## ")[0]


def test_every_cause_of_refused_credentials_is_explained_under_its_detail() -> None:
    rows = re.findall(r"^\| (?:`([^`]+)`)? ?\| `(\w+)` \| \S", section("## What a refusal means"), flags=re.MULTILINE)
    explained: dict[str, str] = {}
    detail = ""
    for stated, word in rows:
        detail = stated or detail
        assert word not in explained
        explained[word] = detail
    faults = set(AuthenticationFault) - {AuthenticationFault.NOT_PROVIDED, AuthenticationFault.TOKEN}
    refused = [Unauthenticated(bad) for bad in (*faults, *Cause)]
    assert explained == {bad.code: bad.fault.value for bad in refused}


def test_every_reason_to_ignore_a_key_is_explained() -> None:
    text = section("## Key sets")
    assert set(re.findall(r"^\| `(\w+)` \|", text, flags=re.MULTILINE)) == set(IgnoredReason)
    assert f"The first {MAX_KEYS} keys" in text
    assert f"(the first {MAX_LISTED}, and how many more)" in text


def test_every_setting_on_the_page_exists_with_the_stated_bounds() -> None:
    named = {name.lower() for name in re.findall(r"\bAUTHZ_([A-Z_]+)", PAGE)}
    assert named <= set(Settings.model_fields)
    for name, title in (("clock_skew_seconds", "## Clock skew"), ("max_token_bytes", "## Size")):
        low, high = (
            next(getattr(bound, which) for bound in Settings.model_fields[name].metadata if hasattr(bound, which))
            for which in ("ge", "le")
        )
        assert f"`AUTHZ_{name.upper()}`, {low} to {high}" in section(title)


@pytest.mark.parametrize("issuer", ["Clerk", "Auth0", "Keycloak", "Entra", "Cognito"])
def test_a_token_of_each_template_is_accepted_with_its_settings(issuer: str) -> None:
    text = section(f"### {issuer}")
    settings = dict(re.findall(r"^    AUTHZ_(\w+)=(\S+)$", text, flags=re.MULTILINE))
    (template,) = re.findall(r"```json\n(.*?)```", text, flags=re.DOTALL)
    claims: dict[str, Any] = {"iss": settings["ISSUER"], "sub": "u", "exp": NOW + 60, **json.loads(template)}
    parties = tuple(filter(None, settings.get("AUTHORIZED_PARTIES", "").split(",")))
    audiences = tuple(filter(None, settings.get("AUDIENCE", "").split(",")))
    assert parties or audiences
    if parties:
        claims["azp"] = parties[0]
    rules = ClaimRules(settings["ISSUER"], audiences, parties, now=lambda: NOW)
    assert rules.check(claims)
    assert parse_permissions(claims["permissions"])
    without = "aud" if audiences else "azp"
    with pytest.raises(Unauthenticated) as refused:
        rules.check({name: value for name, value in claims.items() if name != without})
    assert refused.value.code == f"missing_{without}"
