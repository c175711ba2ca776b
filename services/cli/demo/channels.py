"""Where the demo's agencies are told besides their topics: a webhook receiver and a mail server, on free ports."""

import asyncio
from base64 import b64encode
from collections.abc import AsyncIterator
from secrets import token_bytes
from urllib.parse import urlsplit

from schemas.endpoint import Email, Endpoint, Webhook
from schemas.registry import Agency, RegistryFile
from services.cli.demo.hooks import Hooks
from services.cli.demo.mailbox import Mailbox
from services.cli.demo.pushed import Pushed
from services.embedded.ports import LOOPBACK


class Channels:
    """Receivers for the endpoints of a registry. As a context, they listen."""

    def __init__(self, written: RegistryFile) -> None:
        self._written = written
        self._heard: asyncio.Queue[Pushed] = asyncio.Queue()
        endpoints = {(a, e): each for a, one in written.agencies.items() for e, each in one.endpoints.items()}
        self._hooks = {where: each for where, each in endpoints.items() if isinstance(each, Webhook)}
        self._mails = {where: each for where, each in endpoints.items() if isinstance(each, Email)}
        self._secrets = {ref: _secret() for each in self._hooks.values() for ref in each.secrets}

    async def __aenter__(self) -> "Channels":
        loop = asyncio.get_running_loop()

        def hears(push: Pushed) -> None:
            loop.call_soon_threadsafe(self._heard.put_nowait, push)

        self._receiver = Hooks(self._hooks, self._secrets, hears)
        self._receiver.start()
        self._mailbox = Mailbox(self._mails, self._heard.put_nowait)
        self._mail_port = await self._mailbox.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        self._mailbox.stop()
        await asyncio.to_thread(self._receiver.stop)

    @property
    def environment(self) -> dict[str, str]:
        """The secrets, as the deliveries service finds them."""
        return {ref.removeprefix("env:"): secret for ref, secret in self._secrets.items()}

    @property
    def registry(self) -> RegistryFile:
        """The registry with the ports that are listened on, in place of those that are written there."""
        agencies = {name: self._moved(agency) for name, agency in self._written.agencies.items()}
        mail = self._written.mail and self._written.mail.model_copy(update={"port": self._mail_port})
        return self._written.model_copy(update={"agencies": agencies, "mail": mail})

    def serve(self, agency: str) -> bool:
        """Whether an agency has an endpoint here."""
        return any(name == agency for name, _ in (*self._hooks, *self._mails))

    async def heard(self) -> AsyncIterator[Pushed]:
        """What comes, for ever."""
        while True:
            yield await self._heard.get()

    def _moved(self, agency: Agency) -> Agency:
        endpoints = {name: self._listening(endpoint) for name, endpoint in agency.endpoints.items()}
        return agency.model_copy(update={"endpoints": endpoints})

    def _listening(self, endpoint: Endpoint) -> Endpoint:
        if not isinstance(endpoint, Webhook):
            return endpoint
        where = urlsplit(endpoint.url)._replace(netloc=f"{LOOPBACK}:{self._receiver.port}")
        return endpoint.model_copy(update={"url": where.geturl()})


def _secret() -> str:
    """As Standard Webhooks 1.0 has them."""
    return f"whsec_{b64encode(token_bytes(32)).decode()}"
