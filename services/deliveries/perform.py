"""Makes one attempt: writes the letter, and hands it to the endpoint's channel. Whatever goes wrong is an outcome."""

import asyncio
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

from structlog.contextvars import bind_contextvars

from schemas.command import Effect
from schemas.endpoint import Chat, Email, Endpoint, Webhook
from schemas.registry import Agency, Registry
from services.deliveries import chat, mail, webhook
from services.deliveries.http import Client
from services.deliveries.letter import Attempt, Letter
from services.deliveries.state import Pending
from services.kernel import catalogue
from services.kernel.link import link_to, written
from services.kernel.link_key import link_key
from services.kernel.observe import log
from services.kernel.settings import Settings

LOOKUPS_AT_ONCE = 128


class Courier:
    """Carries letters to endpoints."""

    def __init__(self, settings: Settings) -> None:
        self.limit = settings.deliveries.at_once
        self._address = settings.door.address
        self._link_key = link_key(settings) if self._address else b""
        self._clients: dict[tuple[str, ...], Client] = {}
        # Names are looked up in threads, and one that nobody answers for keeps its thread: others need some left.
        asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(LOOKUPS_AT_ONCE, "lookup"))

    async def perform(self, key: str, effect: Effect, registry: Registry) -> Attempt:
        """One attempt at one endpoint."""
        bind_contextvars(release_id=next((one.release_id for one in effect.about), None))
        name, _, endpoint_id = key.partition("/")
        agency = registry.agencies.get(name)
        endpoint = agency.endpoints.get(endpoint_id) if agency else None
        if agency is None or endpoint is None:
            return Attempt(0, "misconfigured", "the endpoint is not in the registry any more")
        began = time.monotonic()
        try:
            letter = self._letter(name, agency, endpoint_id, effect)
            attempt = await self._send(endpoint, letter, registry)
        except Exception as error:
            log.error("attempt_broke", endpoint=key, channel=endpoint.channel, exc_info=error)
            attempt = Attempt(time.monotonic() - began, "internal", f"an error of Herald's own: {type(error).__name__}")
        catalogue.ATTEMPTS.labels(endpoint.channel, attempt.failure or "taken").inc()
        catalogue.ATTEMPT_SECONDS.labels(endpoint.channel).observe(attempt.seconds)
        return attempt

    async def close(self) -> None:
        """Closes connections that are kept open."""
        for client in self._clients.values():
            await client.aclose()

    def _client(self, allow: tuple[str, ...]) -> Client:
        """The client that may connect there; one that may connect elsewhere keeps no connection of this one's."""
        if allow not in self._clients:
            self._clients[allow] = Client(allow)
        return self._clients[allow]

    async def _send(self, endpoint: Endpoint, letter: Letter, registry: Registry) -> Attempt:
        allow = registry.allow_networks
        match endpoint:
            case Webhook():
                return await webhook.send(endpoint, letter, self._client(allow))
            case Chat():
                return await chat.send(endpoint, letter, self._client(allow))
            case Email():
                if registry.mail is None:
                    return Attempt(0, "misconfigured", "the registry names no mail relay: add `mail:`")
                return await mail.send(endpoint, registry.mail, letter, allow)

    def _letter(self, name: str, agency: Agency, endpoint_id: str, effect: Effect) -> Letter:
        pending: Sequence[Pending] = effect.about
        now = datetime.now(UTC)  # real time, whatever Herald's clock: receivers compare it with their own
        alerts = tuple(one.alert for one in pending if one.alert is not None)
        first = pending[0]
        letter_id = first.together or (first.alert.alert_id if first.alert else None)
        notice = first.notice
        links = {
            alert.alert_id: written(link_to(alert, alert.issued_at), name, self._link_key, self._address)
            for alert in alerts
            if self._address and alert.asks is not None
        }
        return Letter(
            letter_id=letter_id or (notice.notice_id if notice else effect.id),
            agency=name,
            agency_name=agency.name,
            time_zone=agency.time_zone,
            endpoint=endpoint_id,
            written_at=now,
            alerts=alerts,
            notice=notice,
            links=links,
            traceparent=effect.traceparent,
        )
