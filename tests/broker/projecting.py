"""A projector in a process of its own that dies in the midst: `python -m tests.broker.projecting RECORDS`."""

import asyncio
import os
import signal
import sys
from functools import partial
from typing import Any

from services.gateway.model.database import migrate, open_database
from services.gateway.model.projector import Projector
from services.kernel.connection import Connection
from services.kernel.settings import load
from tests.simulation.world import registry

AT_ONCE = 7
"""Records a transaction: few, so that what is left of an earlier one is seen."""


class Mortal(Projector):
    """Dies of kill -9 within a transaction, once it has taken so many records."""

    def __init__(self, records: int, *given: Any) -> None:
        super().__init__(*given)
        self._left = records
        self._consumer.getmany = partial(self._consumer.getmany, max_records=AT_ONCE)

    async def _take(self, *given: Any) -> None:
        await super()._take(*given)
        self._left -= 1
        if not self._left:
            os.kill(os.getpid(), signal.SIGKILL)


async def main() -> None:
    """Projects until it dies."""
    settings = load()
    engine = open_database(settings)
    await migrate(engine)
    await Mortal(int(sys.argv[1]), Connection(settings.kafka), engine, settings.partitions, registry).run()


if __name__ == "__main__":
    asyncio.run(main())
