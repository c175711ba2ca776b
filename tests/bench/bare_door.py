"""The bare endpoint: FastAPI takes a JSON object, aiokafka writes it with acks=all, and 202 is the answer.

`python -m tests.bench.bare_door BOOTSTRAP TOPIC PORT`, until it is killed. No identity, no schema, no receipt.
"""

import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import uvicorn
from aiokafka import AIOKafkaProducer
from fastapi import FastAPI


def app(bootstrap: str, topic: str) -> FastAPI:
    """The endpoint and its producer."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with AIOKafkaProducer(bootstrap_servers=bootstrap, acks="all", enable_idempotence=True) as producer:
            app.state.producer = producer
            yield

    bare = FastAPI(lifespan=lifespan)

    @bare.post("/v1/releases", status_code=202)
    async def take(release: dict[str, Any]) -> dict[str, str]:
        await bare.state.producer.send_and_wait(topic, json.dumps(release).encode())
        return {"event": "taken"}

    return bare


if __name__ == "__main__":
    uvicorn.run(app(sys.argv[1], sys.argv[2]), port=int(sys.argv[3]), log_config=None, access_log=False)
