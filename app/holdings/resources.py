"""The holdings over HTTP: a resource is a table and a line here."""

from __future__ import annotations

from app.db.tables import holdings as tables
from app.http.resource import Resource
from app.http.resources import routes

RESOURCES = (
    Resource("sources", tables.Source, tables.SourceBody),
    Resource("acquisitions", tables.Acquisition, tables.AcquisitionBody),
    Resource("video-assets", tables.VideoAsset, tables.VideoAssetBody),
    Resource("video-assets/{video_asset_id}/tags", tables.VideoAssetTag, tables.VideoAssetTagBody),
    Resource("tags", tables.Tag, tables.TagBody),
)
ROUTES = [handler for resource in RESOURCES for handler in routes(resource)]
