"""No authorization request leads to an address that is not registered, however its redirect is written."""

from __future__ import annotations

from urllib.parse import urlencode

import httpx

from tests.oauth.asking import request_of
from tests.oauth.served import ServedApp, new_address
from tests.oauth.test_redirects import HTTPS, LOOPBACK_VARIANTS, PRIVATE, REFUSED, VARIANTS
from tests.support.server import Server

LOOPBACK = "http://127.0.0.1/cb"


def test_a_redirect_that_is_not_registered_gets_a_page(app_server: Server) -> None:
    app = ServedApp(app_server)
    app.change(redirect_uris=[HTTPS, LOOPBACK])
    tried = dict.fromkeys((*VARIANTS, *LOOPBACK_VARIANTS, *REFUSED, *PRIVATE))
    assert len(tried) > 120
    with httpx.Client(base_url=app_server.url, timeout=20) as client:

        def status(uri: str) -> int:
            query = urlencode(request_of(app, redirect_uri=uri))
            answer = client.get(f"/oauth/authorize?{query}", headers={"X-Forwarded-For": new_address()})
            assert ("location" in answer.headers) is (answer.status_code == 303)
            return answer.status_code

        assert [uri for uri in tried if status(uri) != 400] == []
        assert [status(uri) for uri in (HTTPS, LOOPBACK, "http://127.0.0.1:49152/cb")] == [303] * 3
