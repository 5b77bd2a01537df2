"""AuthZEN discovery. Addresses come from the settings, never from a Host header."""

from __future__ import annotations

from dataclasses import dataclass

from litestar import Response

from app.http.api.authzen.evaluation import EVALUATION, EVALUATIONS
from app.http.api.authzen.search import ACTION, RESOURCE, SUBJECT
from app.http.api.metadata import NO_PUBLIC_URL
from app.http.wire.handlers import get_or_head
from app.http.wire.problems import Problem, detail_spec
from app.services import AnyRequest, services_of

PATH = "/.well-known/authzen-configuration"


@dataclass(frozen=True, slots=True)
class Configuration:
    """The decision point and its endpoints."""

    policy_decision_point: str
    access_evaluation_endpoint: str
    access_evaluations_endpoint: str
    search_subject_endpoint: str
    search_resource_endpoint: str
    search_action_endpoint: str


@get_or_head(
    PATH,
    summary="Describe this decision point (AuthZEN)",
    tags=["authzen"],
    responses={404: detail_spec("The deployment has not stated its public address", NO_PUBLIC_URL)},
)
async def retrieve_authzen_configuration(request: AnyRequest) -> Response[Configuration]:
    """The endpoints at which to request decisions."""
    services = services_of(request.app)
    base = services.settings.public_url
    if base is None:
        raise Problem(404, NO_PUBLIC_URL)
    paths = (EVALUATION, EVALUATIONS, SUBJECT, RESOURCE, ACTION)
    return Response(Configuration(base, *(base + path for path in paths)), headers={"Cache-Control": "no-cache"})
