"""What `authz dev` prints: addresses, credentials, and commands to try."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Credentials:
    """A token and a key with the same permissions, and the command that prints further tokens."""

    token: str
    key: str
    permissions: Sequence[str]
    mint_command: str


def things_to_try(addresses: Mapping[str, tuple[str, str]], credentials: Credentials, commands: str) -> str:
    """The text, with a line for each address: its name, the address, and what it is."""
    width = max(map(len, addresses))
    lines = "\n".join(
        f"  {name:{width}}  {address}          {what}".rstrip() for name, (address, what) in addresses.items()
    )
    return f"""
{lines}

Try, in another terminal:

  JWT='{credentials.token}'
  KEY='{credentials.key}'

{commands}
Stop with Ctrl-C.
"""


def sample_commands(api: str) -> str:
    """Commands that ask the sample API."""
    return f"""\
  # 200: a person with catalog:read
  curl -i -H "Authorization: Bearer $JWT" {api}/api/v1/teams/

  # 200: a program with the same permission
  curl -i -H "Authorization: Bearer $KEY" {api}/api/v1/teams/

  # 403: neither has holdings:read
  curl -i -H "Authorization: Bearer $KEY" {api}/api/v1/sources/

  # 401: no caller is known
  curl -i {api}/api/v1/teams/
"""


def own_commands(credentials: Credentials, routes: Sequence[str], api: str) -> str:
    """Commands for a deployment without the sample API; `routes` are paths of its own that can be read."""
    held = " ".join(credentials.permissions) or "no permission"
    first = next(iter(routes), None)
    asks = (
        f"""
  # the first of your endpoints that needs no id
  curl -i -H "Authorization: Bearer $JWT" {api}{first}
"""
        if first
        else ""
    )
    return f"""\
  # Both carry {held}, which is what `role:viewer` has in this policy.
  # Another token: {credentials.mint_command} --permissions '…'
{asks}"""
