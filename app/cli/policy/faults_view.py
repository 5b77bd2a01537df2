"""What a command prints with `--json` when the policy that it reads has faults."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

from app.policy.language.fault_view import FaultView

# The files of every row in a document are relative to this.
Directory = Annotated[str, Meta(description="The policy directory, as the command was given it.")]


class PolicyFaults(Struct, frozen=True):
    """Every fault of a policy that would be refused. `ok` is false."""

    ok: bool
    directory: Directory
    faults: list[FaultView]
