"""Session tokens in the form of Clerk, and what Clerk's own backend SDK reads from them.

The SDK is an npm package, so its answers are recorded. To record them again, with a new version of the SDK or of this
file: `npm install @clerk/backend` in a new directory, and `python -m tests.support.clerk_tokens DIRECTORY`.
"""

from __future__ import annotations

import json
import random
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

COUNT = 1_000
RECORDED = Path(__file__).parents[1] / "identity" / "clerk_tokens.json"
_SDK = Path(__file__).with_name("clerk_sdk.mjs")
_WORDS = (
    *("catalog", "holdings", "billing", "dashboard", "teams", "impersonation", "staging_plans", "sys_memberships"),
    *("email", "fraud", "instance", "a", "b1", "reports-2"),
)
_VERBS = ("read", "write", "manage", "delete", "export", "approve", "x_1")


def session_claims() -> list[dict[str, Any]]:
    """The claims of well-formed tokens, half of each version: the same ones each time."""
    chance = random.Random(20260101)
    return [(_version_1 if number % 2 else _version_2)(chance, number) for number in range(COUNT)]


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


def record(directory: Path) -> None:
    """Have the SDK in a directory read the tokens, and write what it says, a token to a line."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    now = int(time.time())
    valid = {"iss": "https://clerk.example", "iat": now - 5, "nbf": now - 5, "exp": now + 3600}
    tokens = [
        jwt.encode({**valid, **claims}, key, algorithm="RS256", headers={"kid": "1"}) for claims in session_claims()
    ]
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    public = key.public_key().public_bytes(serialization.Encoding.PEM, form).decode()
    script = shutil.copy(_SDK, directory)
    done = subprocess.run(
        ["node", script], input=json.dumps([public, *tokens]), cwd=directory, capture_output=True, text=True, check=True
    )
    read = json.loads(done.stdout)
    assert len(read) == COUNT
    RECORDED.write_text("[\n" + ",\n".join(json.dumps(each, separators=(",", ":")) for each in read) + "\n]\n")


if __name__ == "__main__":
    record(Path(sys.argv[1]))
