"""The lines about refusals of the server."""

from __future__ import annotations

from http import HTTPStatus

from structlog.testing import capture_logs

from app.http.door.server_refusals import LARGE_HEAD, NO_ANSWER, note_refusal


def test_a_line_has_the_number_of_a_status_also_in_the_log_of_authz_dev() -> None:
    with capture_logs() as lines:
        note_refusal(LARGE_HEAD, HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, "192.0.2.7")
        note_refusal(LARGE_HEAD, NO_ANSWER, None)
    assert [repr(line["status"]) for line in lines] == ["431", "0"]
