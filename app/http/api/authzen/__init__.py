"""The OpenID Authorization API (AuthZEN 1.0): this server as a policy decision point (PDP) for other programs."""

from __future__ import annotations

from app.http.api.authzen.discovery import retrieve_authzen_configuration
from app.http.api.authzen.evaluation import evaluate_access, evaluate_access_batch
from app.http.api.authzen.search import search_actions, search_resources, search_subjects

ROUTES = (
    evaluate_access,
    evaluate_access_batch,
    search_subjects,
    search_resources,
    search_actions,
    retrieve_authzen_configuration,
)
