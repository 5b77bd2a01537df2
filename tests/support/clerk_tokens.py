"""The claims of session tokens in the form of Clerk, and what Clerk's own backend SDK reads from them.

The answers of the SDK are recorded: `python -m scripts.trials.clerk --record` records them again.
"""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

COUNT = 1_000
SEED = 20260101  # of the recorded tokens
RECORDED = Path(__file__).parents[1] / "identity" / "clerk_tokens.json"
_WORDS = (
    *("catalog", "holdings", "billing", "dashboard", "teams", "impersonation", "staging_plans", "sys_memberships"),
    *("email", "fraud", "instance", "a", "b1", "reports-2"),
)
_VERBS = ("read", "write", "manage", "delete", "export", "approve", "x_1")


def session_claims(count: int = COUNT, seed: int = SEED) -> list[dict[str, Any]]:
    """The claims of well-formed tokens, half of each version: the same ones for a seed."""
    chance = random.Random(seed)
    return [(_version_1 if number % 2 else _version_2)(chance, number) for number in range(count)]


def _base(chance: random.Random, number: int) -> dict[str, Any]:
    optional = {"fva": [number % 60, -1], "azp": "https://app.example", "jti": f"j-{number}", "sts": "active"}
    return {
        "sub": f"user_{number}",
        "sid": f"sess_{number}",
        **{name: value for name, value in optional.items() if chance.random() < 0.7},
    }


def _version_1(chance: random.Random, number: int) -> dict[str, Any]:
    claims = _base(chance, number)
    if chance.random() < 0.1:
        claims["v"] = 1
    if chance.random() < 0.2:  # no organization is active
        return claims
    claims["org_id"] = f"org_{chance.randrange(10**9):x}"
    claims["org_role"] = f"org:{chance.choice(('admin', 'member', 'billing_manager'))}"
    if chance.random() < 0.7:
        claims["org_slug"] = f"acme-{number}"
    if chance.random() < 0.8:
        named = {f"org:{chance.choice(_WORDS)}:{chance.choice(_VERBS)}" for _ in range(chance.randrange(9))}
        claims["org_permissions"] = sorted(named)
    return claims


def _version_2(chance: random.Random, number: int) -> dict[str, Any]:
    claims = {**_base(chance, number), "v": 2, "pla": chance.choice(("u:free", "o:pro", "u:free,o:pro"))}
    features = chance.sample(_WORDS, chance.randrange(9))
    scopes = chance.choices(("o", "u", "uo", "ou"), (6, 1, 1, 1), k=len(features))
    comma = chance.choice((",", ",", ", "))
    if features or chance.random() < 0.5:
        claims["fea"] = comma.join(f"{scope}:{feature}" for scope, feature in zip(scopes, features, strict=True))
    if chance.random() < 0.2:  # no organization is active
        return claims
    organization: dict[str, Any] = {"id": f"org_{chance.randrange(10**9):x}"}
    if chance.random() < 0.9:
        organization["rol"] = chance.choice(("admin", "member", "billing_manager"))
    if chance.random() < 0.7:
        organization["slg"] = f"acme-{number}"
    if chance.random() < 0.9:
        many = [f"p{at}" for at in range(chance.choice((33, 64, 90)))]
        names = many if chance.random() < 0.1 else chance.sample(_VERBS, chance.randrange(1, len(_VERBS)))
        mapped = sum("o" in scope for scope in scopes)
        if mapped and chance.random() < 0.2:
            mapped -= 1  # the features after it have no permission
        organization["per"] = comma.join(names)
        organization["fpm"] = comma.join(str(chance.getrandbits(len(names))) for _ in range(mapped))
    claims["o"] = organization
    return claims
