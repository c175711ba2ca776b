"""POST /v1/releases at Herald's door beside a bare endpoint: the same client and bytes, a 202 once Kafka has them."""

import asyncio
import json
import statistics
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

from services.embedded.lifeline import tied
from services.embedded.ports import free
from services.kernel.credential_log import issue
from tests.bench import material
from tests.bench.bounds import BARE_DOOR, HERALD
from tests.broker.deployment import Deployment

COUNT, WARM_UP, CONNECTIONS, RELEASES = 1000, 400, 16, 50
TURNS = 6
"""A round; they are short, so that what else the machine does meets both alike."""

TOPIC = f"releases.{material.LAB}"
CONTESTANTS = (BARE_DOOR, HERALD)


async def run(bootstrap: str, prefix: str, folder: Path, turns: int) -> dict[str, list[tuple[float, float]]]:
    """Requests a second, and the p99 in milliseconds, of each contestant in each turn."""
    ports = {who: free() for who in CONTESTANTS}
    env = {
        "HERALD_DOOR__PORT": str(ports[HERALD]),
        "HERALD_DOOR__BURST": "1000000",
        "HERALD_DATA": str(folder / prefix),
    }
    deployment = Deployment(bootstrap, prefix, folder, env=env)
    await deployment.prepare(material.registry(1))
    token = str(await issue(deployment.connection, material.LAB, "a race", timedelta(hours=1), datetime.now(UTC)))
    deployment.start("gateway.door")
    bare = _bare(deployment, ports[BARE_DOOR])
    try:
        await deployment.ready()
        for port in ports.values():
            await _listens(port)
            await _load(port, token, WARM_UP)
        found: dict[str, list[tuple[float, float]]] = {who: [] for who in CONTESTANTS}
        for _ in range(turns):
            for who, port in ports.items():
                found[who].append(await _load(port, token, COUNT))
        return found
    finally:
        deployment.stop()
        bare.kill()
        bare.wait()


def _bare(deployment: Deployment, port: int) -> subprocess.Popen[bytes]:
    topic = deployment.connection.topic(TOPIC)
    command = [sys.executable, "-m", "tests.bench.bare_door", deployment.bootstrap_servers, topic, str(port)]
    return subprocess.Popen(tied(command))


async def _listens(port: int) -> None:
    for _ in range(600):
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.close()
            return
        except OSError:
            await asyncio.sleep(0.1)
    raise TimeoutError("the bare endpoint does not listen")


async def _load(port: int, token: str, count: int) -> tuple[float, float]:
    numbers, took = iter(range(count)), list[float]()

    async def speak() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for number in numbers:
            body = _body(number)
            head = f"POST /v1/releases HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {token}\r\n"
            head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
            began = time.perf_counter()
            writer.write(head.encode() + body)
            answer = await reader.readuntil(b"\r\n\r\n")
            if not answer.startswith(b"HTTP/1.1 202"):
                raise RuntimeError(answer.decode(errors="replace"))
            length = answer.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0]
            await reader.readexactly(int(length))
            took.append(time.perf_counter() - began)
        writer.close()

    began = time.perf_counter()
    await asyncio.gather(*[speak() for _ in range(CONNECTIONS)])
    return count / (time.perf_counter() - began), 1000 * statistics.quantiles(took, n=100)[98]


def _body(number: int) -> bytes:
    return json.dumps(json.loads(material.statement(number, RELEASES))["data"]).encode()
