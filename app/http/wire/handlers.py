"""What most handlers share: a decorator for GET with HEAD, and the types of their request and database session."""

from __future__ import annotations

from functools import partial
from typing import TypeAlias

from litestar import Request, route
from litestar.datastructures import State
from litestar.di import NamedDependency
from litestar.enums import HttpMethod
from sqlalchemy.ext.asyncio import AsyncSession

from app.identity.principal import Principal
from app.policy.engine.decision import Decision

get_or_head = partial(route, http_method=[HttpMethod.GET, HttpMethod.HEAD])
# A request that the policy allowed: its caller is known, and so is the decision.
AllowedRequest: TypeAlias = Request[Principal, Decision, State]
RequestSession: TypeAlias = NamedDependency[AsyncSession]
