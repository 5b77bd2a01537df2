"""The resources of the holdings."""

from __future__ import annotations

from app.griddy.handlers import routes
from app.griddy.resource import TableResource, tags_of
from app.griddy.tables import holdings as tables

RESOURCES = (
    TableResource("sources", tables.Source, tables.SourceBody),
    TableResource("acquisitions", tables.Acquisition, tables.AcquisitionBody),
    TableResource("video-assets", tables.VideoAsset, tables.VideoAssetBody),
    TableResource("video-assets/{video_asset_id}/tags", tables.VideoAssetTag, tables.VideoAssetTagBody),
    TableResource("tags", tables.Tag, tables.TagBody),
)
ROUTES = [handler for resource in RESOURCES for handler in routes(resource)]
TAGS = tags_of(RESOURCES)
