"""A real Kafka for the tests of this folder: one for the session, or one of its own where it is to be hurt."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from services.embedded.broker import Broker
from tests.broker.receivers import Hooks, Mails, hooks, mails


@pytest.fixture(scope="session")
def kafka_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The data directory of the session's broker."""
    return tmp_path_factory.mktemp("kafka")


@pytest.fixture(scope="session")
def kafka(kafka_folder: Path) -> Iterator[str]:
    """The address of a broker that lasts for the session. Use a topic prefix of your own."""
    broker = Broker(kafka_folder)
    yield broker.start(print, owned=True).bootstrap_servers
    broker.stop()


@pytest.fixture(scope="module")
def hooked() -> Iterator[Hooks]:
    """A webhook receiver."""
    with hooks() as found:
        yield found


@pytest.fixture(scope="module")
def mailed() -> Iterator[Mails]:
    """A mail server."""
    with mails() as found:
        yield found


@pytest.fixture
def own_broker(tmp_path: Path) -> Iterator[Broker]:
    """A broker of the test's own, started."""
    broker = Broker(tmp_path)
    broker.start(print, owned=True)
    yield broker
    broker.stop()
