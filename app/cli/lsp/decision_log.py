"""When grants were last used, if the database of the settings can be read here."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from datetime import date

_log = logging.getLogger("authz.lsp")


def read_last_uses() -> Mapping[str, date]:
    """The last day of use by grant; empty, with the reason in the log, without a database of this version."""
    try:
        return asyncio.run(_last_uses())
    except Exception as error:  # noqa: BLE001  # an editor needs no database, whatever is wrong with it
        _log.info("the decision log cannot be read: %s", error)
        return {}


async def _last_uses() -> Mapping[str, date]:
    from app.db.engine import open_engine
    from app.db.grant_uses import last_uses
    from app.db.migrate import schema_fault
    from app.db.session import sessions_of
    from app.settings import load_local
    from app.settings_variables import ENV_FILE, file_settings

    if "AUTHZ_DATABASE_URL" in file_settings():  # an opened folder must not say which host is contacted
        _log.info("the decision log is not read: %s has AUTHZ_DATABASE_URL; set it in the environment", ENV_FILE)
        return {}
    url = load_local().database_url
    if fault := await schema_fault(url):
        _log.info("the decision log is not read: %s", fault)
        return {}
    engine = open_engine(url, timeout_seconds=5)
    try:
        async with sessions_of(engine)() as session:
            return await last_uses(session)
    finally:
        await engine.dispose()
