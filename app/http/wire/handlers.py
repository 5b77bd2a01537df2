"""A decorator for GET with HEAD, and the types of the request and the database session of handlers."""

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
# A request that the policy allowed, with its principal and its decision.
AllowedRequest: TypeAlias = Request[Principal, Decision, State]
RequestSession: TypeAlias = NamedDependency[AsyncSession]
