"""The OpenID Authorization API (AuthZEN 1.0): this server as a policy decision point (PDP) for other programs."""

from __future__ import annotations

from app.http.api.authzen.discovery import configuration
from app.http.api.authzen.evaluation import evaluate_many, evaluate_once
from app.http.api.authzen.search import search_action, search_resource, search_subject

ROUTES = (evaluate_once, evaluate_many, search_subject, search_resource, search_action, configuration)
