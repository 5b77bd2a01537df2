"""AuthZEN 1.0: other programs ask for decisions over HTTP.

The PDP's side of OpenID's Authorization API. Who may ask is a row of the policy, like all else.
"""

from __future__ import annotations

from app.http.api.authzen.discovery import configuration
from app.http.api.authzen.evaluation import evaluate_many, evaluate_once
from app.http.api.authzen.search import search_action, search_resource, search_subject

ROUTES = (evaluate_once, evaluate_many, search_subject, search_resource, search_action, configuration)
