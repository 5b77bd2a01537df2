"""Fields of a body with the message and the reason of a change."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field

from app.history.change_message import MAX_MESSAGE, message_fault, reason_fault


def _message(text: str) -> str:
    if fault := message_fault(text):
        raise ValueError(fault)
    return text


def _reason(text: str) -> str:
    if text.strip() and (fault := reason_fault(text)):
        raise ValueError(fault)
    return text


Message = Annotated[str, Field(max_length=MAX_MESSAGE), AfterValidator(_message)]
Reason = Annotated[
    str,
    Field(
        max_length=MAX_MESSAGE,
        description="Why failing and removed cases are accepted; without a reason they refuse the change.",
    ),
    AfterValidator(_reason),
]
