"""AuthZEN 1.0: other programs ask for decisions over HTTP.

The PDP's side of OpenID's Authorization API. Who may ask is a row of the policy, like all else.
"""

from __future__ import annotations

from app.http.authzen.evaluation import evaluation, evaluations

ROUTES = (evaluation, evaluations)
