"""No request passes while authz does not answer: while it hangs, and while it is down."""

from __future__ import annotations

import signal

from tests.gateway.conftest import Hanging


def test_no_request_passes_while_authz_hangs_or_is_down(hanging: Hanging) -> None:
    world = hanging.world
    said = {name: answer.result(40) for name, answer in hanging.answers.items()}
    assert {name: answer[:10] for name, answer in said.items()} == dict.fromkeys(world.gateways, b"HTTP/1.1 5")
    assert not world.upstream.reached
    world.server.signal(signal.SIGCONT)
    world.server.stop()
    said = {name: gateway.send(hanging.question) for name, gateway in world.gateways.items()}
    assert {name: answer[:10] for name, answer in said.items()} == dict.fromkeys(world.gateways, b"HTTP/1.1 5")
    assert not world.upstream.reached
