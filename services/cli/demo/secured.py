"""The secured demo's lines: labs over HTTPS; agencies by pages, as a stream, or over Kafka. Each proves who it is."""

import asyncio
from collections.abc import AsyncIterator, Coroutine
from functools import partial
from typing import Any

from services.cli.demo.access import Access
from services.cli.demo.desk import KafkaDesk
from services.cli.demo.door import Door
from services.cli.demo.lines import Heard
from services.kernel.ending import ended


class SecuredLines:
    """Everybody through a door of their own, with nobody else's secret."""

    def __init__(self, access: dict[str, Access]) -> None:
        self._heard: asyncio.Queue[Heard] = asyncio.Queue()
        self._tasks: list[asyncio.Task[None]] = []
        self.failures: list[str] = []
        self._lines = {
            name: (KafkaDesk if one.way == "kafka" else Door)(
                name, one, partial(self._hears, name), partial(self._meanwhile, name)
            )
            for name, one in access.items()
        }

    async def start(self) -> None:
        """Connects everybody."""
        for line in self._lines.values():
            await line.start()

    async def stop(self) -> None:
        """Disconnects everybody."""
        await ended(*self._tasks)
        for line in self._lines.values():
            await line.stop()

    async def say(self, participant: str, event: dict[str, Any]) -> None:
        """Says an event as this participant."""
        await self._lines[participant].say(event)

    async def garble(self, participant: str, raw: bytes) -> None:
        """Says what is no event."""
        await self._lines[participant].garble(raw)

    async def heard(self) -> AsyncIterator[Heard]:
        """What anybody hears."""
        while True:
            yield await self._heard.get()

    def _hears(self, participant: str, event: dict[str, Any]) -> None:
        self._heard.put_nowait((participant, event))

    def _meanwhile(self, participant: str, work: Coroutine[Any, Any, None]) -> None:
        async def watched() -> None:
            try:
                await work
            except Exception as error:
                self.failures.append(f"{participant}: its line broke: {error!r}")

        self._tasks.append(asyncio.create_task(watched()))
