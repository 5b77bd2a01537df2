"""Models of the API, written by `scripts/sdk/write_models.py`. Times are ISO 8601 in UTC."""

from __future__ import annotations

from typing import Literal, NotRequired, TypedDict


class Acquisition(TypedDict):
    """A purchase, gift or recording."""

    id: int
    source_id: int
    acquired_on: str
    cost: int | None
    currency: str | None
    note: str | None


class AcquisitionBody(TypedDict):
    """A purchase, gift or recording."""

    source_id: int
    acquired_on: str
    cost: NotRequired[int | None]
    currency: NotRequired[str | None]
    note: NotRequired[str | None]


class AcquisitionPatch(TypedDict):
    """A purchase, gift or recording. Omitted fields are not changed."""

    source_id: NotRequired[int]
    acquired_on: NotRequired[str]
    cost: NotRequired[int | None]
    currency: NotRequired[str | None]
    note: NotRequired[str | None]


class Source(TypedDict):
    """A source of footage."""

    id: int
    kind: Literal["broadcaster", "archive", "collector", "shop", "own_recording"]
    name: str
    url: str | None
    note: str | None


class SourceBody(TypedDict):
    """A source of footage."""

    kind: Literal["broadcaster", "archive", "collector", "shop", "own_recording"]
    name: str
    url: NotRequired[str | None]
    note: NotRequired[str | None]


class SourcePatch(TypedDict):
    """A source of footage. Omitted fields are not changed."""

    kind: NotRequired[Literal["broadcaster", "archive", "collector", "shop", "own_recording"]]
    name: NotRequired[str]
    url: NotRequired[str | None]
    note: NotRequired[str | None]


class Tag(TypedDict):
    """A tag for footage."""

    id: int
    name: str
    description: str | None


class TagBody(TypedDict):
    """A tag for footage."""

    name: str
    description: NotRequired[str | None]


class TagPatch(TypedDict):
    """A tag for footage. Omitted fields are not changed."""

    name: NotRequired[str]
    description: NotRequired[str | None]


class VideoAsset(TypedDict):
    """A file of footage."""

    id: int
    acquisition_id: int
    game_id: int | None
    title: str
    duration_seconds: int
    width: int
    height: int
    sha256: str
    storage_uri: str


class VideoAssetBody(TypedDict):
    """A file of footage."""

    acquisition_id: int
    game_id: NotRequired[int | None]
    title: str
    duration_seconds: int
    width: int
    height: int
    sha256: str
    storage_uri: str


class VideoAssetPatch(TypedDict):
    """A file of footage. Omitted fields are not changed."""

    acquisition_id: NotRequired[int]
    game_id: NotRequired[int | None]
    title: NotRequired[str]
    duration_seconds: NotRequired[int]
    width: NotRequired[int]
    height: NotRequired[int]
    sha256: NotRequired[str]
    storage_uri: NotRequired[str]


class VideoAssetTag(TypedDict):
    """A tag on a video asset."""

    id: int
    video_asset_id: int
    tag_id: int


class VideoAssetTagBody(TypedDict):
    """A tag on a video asset."""

    tag_id: int


class VideoAssetTagPatch(TypedDict):
    """A tag on a video asset. Omitted fields are not changed."""

    tag_id: NotRequired[int]
