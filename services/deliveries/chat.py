"""A message to a chat by its incoming webhook: a pointer, with nothing in it that a lab has written."""

import re
from urllib.parse import urlsplit

from pydantic import TypeAdapter, ValidationError
from pydantic_core import to_json

from schemas.delivery import Failure
from schemas.endpoint import Chat, SecretRef, WebUrl
from services.deliveries.chat_bodies import body
from services.deliveries.http import Client
from services.deliveries.letter import Attempt, Letter
from services.deliveries.secret import SecretError, read
from services.deliveries.verdict import by_status, line, parts

_ADDRESS: TypeAdapter[str] = TypeAdapter(WebUrl)
_TOPIC = re.compile(r"/([-_A-Za-z0-9]{1,64})/?")
_TEAMS_ERROR = re.compile(rb"Microsoft Teams endpoint returned HTTP error ([0-9]{3})")


async def send(endpoint: Chat, letter: Letter, client: Client) -> Attempt:
    """One attempt. It raises nothing for what is wrong at the other side, or with a secret."""
    try:
        url = _address(endpoint.url)
        token = read(endpoint.token) if endpoint.token is not None else None
        topic = ""
        if endpoint.channel == "ntfy":
            url, topic = _topic(endpoint.url, url)
    except SecretError as error:
        return Attempt(0.0, "misconfigured", line(str(error)))
    headers = {"content-type": "application/json"} | ({"authorization": f"Bearer {token}"} if token else {})
    return await client.post(
        url,
        headers,
        to_json(body(endpoint.channel, letter, topic)),
        private=lambda: (*parts(url), topic, token or "", *letter.links.values()),
        judge=by_status_and_page,
    )


def by_status_and_page(status: int, start: bytes) -> Failure | None:
    """Also reads what Teams says with 200 (learn.microsoft.com, Rate limiting for connectors).

    A page instead of the short answer of a chat is somebody else's: a login, or a network that wants to be paid.
    """
    failed = by_status(status)
    if failed is not None:
        return failed
    if error := _TEAMS_ERROR.search(start):
        return by_status(int(error[1])) or "protocol"
    return "protocol" if start.lstrip().startswith(b"<") else None


def _address(ref: SecretRef) -> str:
    try:
        return _ADDRESS.validate_python(read(ref))
    except ValidationError:
        raise SecretError(f"{ref}: it must be a web address, such as https://chat.example/hooks/…") from None


def _topic(ref: SecretRef, url: str) -> tuple[str, str]:
    """Where ntfy takes JSON, and the topic: the address names both."""
    split = urlsplit(url)
    topic = _TOPIC.fullmatch(split.path)
    if topic is None or split.query:
        raise SecretError(f"{ref}: it must be an ntfy server and one topic, such as https://ntfy.example/our-topic")
    return f"{split.scheme}://{split.netloc}/", topic[1]
