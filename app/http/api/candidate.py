"""Candidate policies in requests, built from their files or refused with all faults."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

from litestar import Response
from litestar.enums import MediaType
from litestar.openapi.datastructures import ResponseSpec
from pydantic import BaseModel, ConfigDict, Field

from app.policy.engine.snapshot import Snapshot
from app.policy.language.fault import PolicyRefused
from app.policy.language.fault_view import FaultView, fault_views
from app.policy.language.source import encode
from app.services import Services

MAX_FILES_BYTES = 40_000_000


class Candidate(BaseModel):
    """The files of a policy, by name."""

    model_config = ConfigDict(extra="forbid")

    files: Annotated[dict[str, str], Field(min_length=1, max_length=500)]


@dataclass(frozen=True, slots=True)
class FaultyPolicy:
    """The faults for which a policy is refused."""

    detail: str
    faults: list[FaultView]


FAULTY: Mapping[int, ResponseSpec] = {422: ResponseSpec(FaultyPolicy, description="The policy has faults")}


async def snapshot_of(texts: Mapping[str, str], services: Services) -> Snapshot:
    """Build a policy for the served routes, in a thread. Raises PolicyRefused with all faults."""
    return await asyncio.to_thread(services.live.build_candidate, encode(texts))


def faulty(refused: PolicyRefused) -> Response[FaultyPolicy]:
    """The 422 with all faults."""
    faults = fault_views(refused.faults)
    detail = f"The policy has {len(faults)} fault{'s' if len(faults) > 1 else ''}."
    return Response(FaultyPolicy(detail, faults), status_code=422, media_type=MediaType.JSON)
