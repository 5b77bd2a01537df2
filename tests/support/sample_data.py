"""A database with the sample data."""

from __future__ import annotations

from app.db.engine import open_engine
from app.db.migrate import upgrade
from app.db.session import sessions_of
from app.griddy import sample


async def fill(url: str) -> None:
    """Upgrade a database and load the sample data."""
    await upgrade(url)
    engine = open_engine(url)
    async with sessions_of(engine)() as session:
        await sample.load(session)
        await session.commit()
    await engine.dispose()
