"""The tables of the holdings: footage, its sources and its tags."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import ValidationInfo, field_validator
from pydantic_core import PydanticCustomError
from sqlalchemy import BigInteger, String, UniqueConstraint
from sqlmodel import Field

from app.db.tables.base import NEVER_REUSED, Body, refers_to, row_id
from app.db.tables.fields import Count, Currency, Day, Id, Money, Name, Note, Pixels, Sha256, Uri

SourceKind = Annotated[
    Literal["broadcaster", "archive", "collector", "shop", "own_recording"], Field(sa_type=String(20))
]


class SourceBody(Body):
    """A source of footage."""

    kind: SourceKind
    name: Name = Field(unique=True)
    url: Uri | None = None
    note: Note | None = None


class Source(SourceBody, table=True):
    __tablename__ = "sources"
    __table_args__ = (NEVER_REUSED,)
    id: int = row_id()


class AcquisitionBody(Body):
    """A purchase, gift or recording."""

    source_id: Id = refers_to("sources")
    acquired_on: Day
    cost: Money | None = Field(default=None, sa_type=BigInteger, description="In the currency's smallest unit.")
    currency: Currency | None = Field(default=None, description="ISO 4217.")
    note: Note | None = None

    @field_validator("currency")
    @classmethod
    def _of_a_cost(cls, currency: str | None, info: ValidationInfo) -> str | None:
        if "cost" in info.data and (currency is None) != (info.data["cost"] is None):
            raise PydanticCustomError("currency", "must be given with a cost, and only then")
        return currency


class Acquisition(AcquisitionBody, table=True):
    __tablename__ = "acquisitions"
    __table_args__ = (NEVER_REUSED,)
    id: int = row_id()


class VideoAssetBody(Body):
    """A file of footage."""

    acquisition_id: Id = refers_to("acquisitions")
    game_id: Id | None = refers_to("games", default=None)
    title: Name
    duration_seconds: Count
    width: Pixels
    height: Pixels
    sha256: Sha256 = Field(unique=True, description="Of the file, in lower-case hex.")
    storage_uri: Uri


class VideoAsset(VideoAssetBody, table=True):
    __tablename__ = "video_assets"
    __table_args__ = (NEVER_REUSED,)
    id: int = row_id()


class TagBody(Body):
    """A tag for footage."""

    name: Name = Field(unique=True)
    description: Note | None = None


class Tag(TagBody, table=True):
    __tablename__ = "tags"
    __table_args__ = (NEVER_REUSED,)
    id: int = row_id()


class VideoAssetTagBody(Body):
    """A tag on a video asset."""

    tag_id: Id = refers_to("tags")


class VideoAssetTag(VideoAssetTagBody, table=True):
    __tablename__ = "video_asset_tags"
    __table_args__ = (UniqueConstraint("video_asset_id", "tag_id"), NEVER_REUSED)
    id: int = row_id()
    # Deleted together with its asset; references from other tables prevent a deletion.
    video_asset_id: int = refers_to("video_assets", ondelete="CASCADE")
