"""The database behind the read model: SQLite in the data directory, or PostgreSQL by URL."""

from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import URL, Connection, MetaData, event
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from services.gateway.model.tables import METADATA
from services.kernel.settings import Settings, SettingsError, kept_in

_MIGRATIONS = Path(__file__).parent / "migrations"
_DRIVERS = {"sqlite": "sqlite+aiosqlite", "postgresql": "postgresql+asyncpg"}
_ALONE = {"sqlite": "BEGIN IMMEDIATE", "postgresql": "SELECT pg_advisory_xact_lock(hashtext('herald tables'))"}
"""Until its transaction ends, whoever else says this waits."""


def open_database(settings: Settings) -> AsyncEngine:
    """The engine for HERALD_DOOR__DATABASE. Raises SettingsError for a database of another kind, and a file unread."""
    url = _stated(settings)
    if not url:
        settings.data.mkdir(parents=True, exist_ok=True)
        url = f"sqlite:///{(settings.data / 'door.db').absolute()}"
    kind, _, rest = url.partition("://")
    if kind not in _DRIVERS:
        raise SettingsError("HERALD_DOOR__DATABASE: write sqlite:///PATH or postgresql://USER:PASSWORD@HOST/NAME")
    engine = create_async_engine(f"{_DRIVERS[kind]}://{rest}")
    if kind == "sqlite":
        event.listen(engine.sync_engine, "connect", _write_ahead)
    return engine


class NewerDatabase(Exception):
    """A later version of Herald has made the tables; one line for people."""


class DatabaseAway(Exception):
    """The database cannot be reached, or lets nobody in; one line for people."""


async def migrate(engine: AsyncEngine) -> None:
    """Brings the tables to what this version expects. Raises NewerDatabase and DatabaseAway."""
    async with _alone(engine) as connection:
        await connection.run_sync(_upgrade)


async def rebuild(engine: AsyncEngine) -> None:
    """Forgets everything, so that it is projected anew; tables of a later version give way to this one's.

    Raises DatabaseAway.
    """
    try:
        await migrate(engine)
    except NewerDatabase:
        async with _alone(engine) as connection:
            await connection.run_sync(_drop)
            await connection.run_sync(_upgrade)
    await empty(engine)


async def empty(engine: AsyncEngine) -> None:
    """Forgets everything, so that it is projected anew."""
    async with engine.begin() as connection:
        for table in METADATA.sorted_tables:
            await connection.execute(table.delete())


@asynccontextmanager
async def _alone(engine: AsyncEngine) -> AsyncIterator[AsyncConnection]:
    """A transaction that changes tables: of doors that begin at the same instant, only the first has to make them."""
    async with aclosing(await _opened(engine)) as connection, connection.begin():
        await connection.exec_driver_sql(_ALONE[connection.dialect.name])
        yield connection


async def _opened(engine: AsyncEngine) -> AsyncConnection:
    try:
        return await engine.connect()
    except Exception as error:  # drivers have a hundred kinds, and only some derive from SQLAlchemy's
        why = str(error.orig if isinstance(error, DBAPIError) else error) or type(error).__name__
        url = engine.url
        where = URL.create(url.get_backend_name(), host=url.host, port=url.port, database=url.database)
        raise DatabaseAway(f"cannot open the read model's database {where}: {why}") from error


def _stated(settings: Settings) -> str:
    path = settings.door.database_file
    if path is None:
        return settings.door.database.get_secret_value()
    return kept_in(path, "HERALD_DOOR__DATABASE_FILE")


def _upgrade(connection: Connection) -> None:
    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS))
    config.attributes["connection"] = connection
    known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
    found = MigrationContext.configure(connection).get_current_revision()
    if found is not None and found not in known:
        raise NewerDatabase(
            f"the read model's tables are of a later version of Herald (revision {found}): "
            "`herald read-model rebuild` of this version makes them anew"
        )
    command.upgrade(config, "head")


def _drop(connection: Connection) -> None:
    there = MetaData()
    there.reflect(connection)
    there.drop_all(connection)


def _write_ahead(connection: Any, _: Any) -> None:
    """Readers do not wait for the writer."""
    cursor = connection.cursor()
    cursor.execute("PRAGMA journal_mode=WAL")
    cursor.execute("PRAGMA busy_timeout=10000")
    cursor.close()
