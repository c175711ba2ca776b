"""A TCP link on loopback that can be cut and slowed down: what stands between a client and a broker."""

import asyncio
import threading
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any

from services.embedded.ports import LOOPBACK, free

CHUNK = 64 * 1024


class Link:
    """Listens at `port` and passes on to `target`. While it is cut nothing passes, and no connection is closed.

    It works in a thread of its own, so that a test that is busy slows down nobody's network.
    """

    def __init__(self, target: int) -> None:
        self.port = free()
        self._target = target
        self._delay = 0.0
        self._ready = threading.Event()
        self._loop = asyncio.new_event_loop()
        self._whole = asyncio.Event()
        self._passing: set[asyncio.Task[None]] = set()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        self._ready.wait()

    def cut(self) -> None:
        """From now on nothing passes; what is on its way stays there."""
        self._loop.call_soon_threadsafe(self._whole.clear)

    def slow(self, seconds: float) -> None:
        """Whatever passes takes so long from now on, in each direction."""
        self._delay = seconds

    def mend(self) -> None:
        """As new; what was held back arrives."""
        self._delay = 0.0
        self._loop.call_soon_threadsafe(self._whole.set)

    def close(self) -> None:
        """Ends every connection and listens no more."""
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._whole.set()
        server = self._loop.run_until_complete(asyncio.start_server(self._accept, LOOPBACK, self.port))
        self._ready.set()
        try:
            self._loop.run_forever()
        finally:
            server.close()
            for task in asyncio.all_tasks(self._loop):
                task.cancel()
            self._loop.run_until_complete(asyncio.gather(*asyncio.all_tasks(self._loop), return_exceptions=True))
            self._loop.close()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            there, back = await asyncio.open_connection(LOOPBACK, self._target)
        except OSError:  # the broker is down, and so is the line to it
            writer.close()
            return
        self._keep(self._pump(reader, back))
        self._keep(self._pump(there, writer))

    def _keep(self, work: Coroutine[Any, Any, None]) -> None:
        task = self._loop.create_task(work)
        self._passing.add(task)
        task.add_done_callback(self._passing.discard)

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            try:
                while chunk := await reader.read(CHUNK):
                    await self._whole.wait()
                    if self._delay:
                        await asyncio.sleep(self._delay)
                    writer.write(chunk)
                    await writer.drain()
                await self._whole.wait()  # the end of a connection is a message too
            finally:
                writer.close()
