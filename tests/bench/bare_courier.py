"""The bare loop: reads deliveries from a file, signs each with the official library, and posts it by Herald's client.

`python -m tests.bench.bare_courier FILE PORT AT_ONCE`. No Kafka, no state, no retries, no outcomes.
"""

import asyncio
import json
import sys
from datetime import UTC, datetime
from pathlib import Path

from standardwebhooks import Webhook

from services.deliveries.http import Client
from tests.broker.receivers import SECRET


async def main(file: Path, port: int, at_once: int) -> None:
    """Posts all of them, so many at once."""
    alerts = iter(file.read_text().splitlines())
    signer, client = Webhook(SECRET), Client(("127.0.0.0/8",))

    async def work() -> None:
        for alert in alerts:
            now = datetime.now(UTC)
            data = json.loads(alert)
            body = json.dumps({"type": "herald.alert.issued.v1", "timestamp": now.isoformat(), "data": data})
            headers = {
                "content-type": "application/json",
                "webhook-id": data["alert_id"],
                "webhook-timestamp": str(int(now.timestamp())),
                "webhook-signature": signer.sign(data["alert_id"], now, body),
            }
            attempt = await client.post(f"http://127.0.0.1:{port}/", headers, body.encode(), private=lambda: ())
            if attempt.failure is not None:
                raise RuntimeError(attempt.answer)

    await asyncio.gather(*(work() for _ in range(at_once)))
    await client.aclose()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])))
