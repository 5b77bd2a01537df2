"""The tools of the sample MCP server: they read and change the sample data."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from pydantic import ValidationError
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from app.db.tables import table_of
from app.griddy import rows
from app.griddy.refusals import WriteRefused
from app.griddy.tables.catalog import Team
from app.griddy.tables.holdings import Tag, TagBody

Arguments = Mapping[str, object]
_MAX_ROWS = 100
_TEXT = {"type": "string"}


class ToolError(Exception):
    """A tool cannot do what it was called for. The message is for the model."""


@dataclass(frozen=True, slots=True)
class Tool:
    """A tool. `properties` are the JSON schemas of its arguments, of which some are `required`."""

    name: str
    description: str
    run: Callable[[AsyncSession, str, Arguments], Awaitable[str]]
    properties: Mapping[str, Mapping[str, object]]
    required: tuple[str, ...] = ()
    is_read_only: bool = True

    def describe(self) -> dict[str, object]:
        """The tool as `tools/list` has it."""
        schema = {"type": "object", "properties": dict(self.properties), "additionalProperties": False}
        return {
            "name": self.name,
            "description": self.description,
            "inputSchema": {**schema, "required": list(self.required)} if self.required else schema,
            "annotations": {"readOnlyHint": self.is_read_only, "destructiveHint": False, "openWorldHint": False},
        }


async def _list_teams(session: AsyncSession, _: str, arguments: Arguments) -> str:
    query = select(Team).order_by(col(Team.location)).limit(_MAX_ROWS)
    if (conference := arguments.get("conference")) is not None:
        query = query.where(col(Team.conference) == _text(conference))
    teams = (await session.scalars(query)).all()
    return "\n".join(f"{team.abbreviation}  {team.location} {team.nickname}, {team.division}" for team in teams)


async def _list_tags(session: AsyncSession, _: str, __: Arguments) -> str:
    tags = (await session.scalars(select(Tag).order_by(col(Tag.name)).limit(_MAX_ROWS))).all()
    return "\n".join(f"{tag.name}: {tag.description or 'no description'}" for tag in tags)


async def _add_tag(session: AsyncSession, subject: str, arguments: Arguments) -> str:
    try:
        tag = TagBody.model_validate(arguments)
        await rows.create(session, table_of(Tag), {}, tag.model_dump())
    except ValidationError as invalid:
        raise ToolError(
            "; ".join(f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in invalid.errors())
        ) from None
    except WriteRefused:
        raise ToolError("There is a tag with this name.") from None
    return f"Added the tag {tag.name} for {subject}."


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise ToolError("The argument is not a text.")
    return value


TOOLS = (
    Tool("list_teams", "List the teams.", _list_teams, {"conference": {"type": "string", "enum": ["AFC", "NFC"]}}),
    Tool("list_tags", "List the tags of video footage.", _list_tags, {}),
    Tool(
        "add_tag",
        "Add a tag for video footage.",
        _add_tag,
        {"name": _TEXT, "description": _TEXT},
        required=("name",),
        is_read_only=False,
    ),
)
