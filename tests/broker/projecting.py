"""A projector in a process of its own, slow enough to be killed in the midst: `python -m tests.broker.projecting`."""

import asyncio
from typing import Any

from services.gateway.model.database import migrate, open_database
from services.gateway.model.projector import Projector
from services.kernel.connection import Connection
from services.kernel.settings import load
from tests.simulation.world import registry


class Slow(Projector):
    """Takes its time between any two records of a transaction."""

    async def _take(self, *given: Any) -> None:
        await asyncio.sleep(0.002)
        await super()._take(*given)


async def main() -> None:
    """Projects until it is killed."""
    settings = load()
    engine = open_database(settings)
    await migrate(engine)
    print("projecting", flush=True)
    await Slow(Connection(settings.kafka), engine, settings.partitions, registry).run()


if __name__ == "__main__":
    asyncio.run(main())
