"""Who is who: follows the registry and the tokens, from the beginning, in memory."""

import asyncio
import time
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

from aiokafka import TopicPartition
from aiokafka.errors import KafkaError

from schemas.envelope import reader
from schemas.registry import Registry
from services.gateway.door.expiring import Expiring
from services.kernel.catalogue import REGISTRY_VERSION
from services.kernel.connection import Connection
from services.kernel.credential_log import CREDENTIALS_TOPIC, Tokens
from services.kernel.ledger import REGISTRY_TOPIC
from services.kernel.observe import log

SHOW_SECONDS = 5.0
"""How soon it shows that a token has ended."""


class Directory:
    """The registry in force, and the tokens that are taken."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self.registry = Registry()
        self.tokens = Tokens()
        self.ready = asyncio.Event()
        self._tokens_until = 0
        self._looked = asyncio.Condition()
        self._expiring = Expiring()
        self._show_again = 0.0

    async def has_read(self, offset: int) -> None:
        """Waits until the words on tokens up to this offset were taken over."""
        async with self._looked:
            await self._looked.wait_for(lambda: self._tokens_until > offset)

    async def hears_of(self, token_id: str) -> None:
        """Waits a second at most for a token that is unknown: another door may have issued it just now."""
        with suppress(TimeoutError):
            async with asyncio.timeout(1), self._looked:
                await self._looked.wait_for(lambda: self.tokens.knows(token_id))

    async def run(self) -> None:
        """Follows until it is cancelled."""
        registry = TopicPartition(self._connection.topic(REGISTRY_TOPIC), 0)
        tokens = TopicPartition(self._connection.topic(CREDENTIALS_TOPIC), 0)
        consumer = self._connection.consumer()
        await consumer.start()
        try:
            consumer.assign([registry, tokens])
            await consumer.seek_to_beginning(registry, tokens)
            ends = await consumer.end_offsets([registry, tokens])
            while True:
                try:
                    if not self.ready.is_set() and all([await consumer.position(s) >= e for s, e in ends.items()]):
                        self.ready.set()
                    # One after the other: a partition that cannot be read takes nothing of the other with it.
                    for source in (registry, tokens):
                        for record in (await consumer.getmany(source, timeout_ms=100)).get(source, []):
                            self._take(source == registry, record)
                    async with self._looked:
                        self._looked.notify_all()
                    self._show()
                except KafkaError as error:
                    log.warning("directory_unreadable", error=repr(error))
                    await asyncio.sleep(1)
        finally:
            await consumer.stop()

    def _show(self) -> None:
        if time.monotonic() >= self._show_again:
            here = {*self.registry.labs, *self.registry.agencies}  # an offboarded participant's are not taken
            mine = [one for one in self.tokens.issued.values() if one.participant in here]
            self._expiring.show(mine, datetime.now(UTC))
            self._show_again = time.monotonic() + SHOW_SECONDS

    def _take(self, is_registry: bool, record: Any) -> None:
        if is_registry:
            self.registry = reader(Registry).validate_json(record.value, extra="ignore").data
            REGISTRY_VERSION.set(self.registry.version)
            self._show_again = 0.0
            log.info("registry_version", version=self.registry.version)
        else:
            self.tokens.take(record.key, record.value)
            self._tokens_until = record.offset + 1
            self._show_again = 0.0
