"""The acknowledgement link: an address that opens one agency's page for one window, until it expires. Pure.

Its token is base64url of a version, the alert's and the release's ids, the life, and the second in which it was made;
then the first 128 bits of the HMAC-SHA256 of all that and the agency (RFC 2104, section 5: half of a digest will do).
So it says nothing of the agency to who has no key, and serves no other purpose: nothing else is signed like this.
"""

import base64
import hashlib
import hmac
import re
import struct
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

from schemas.alert import AlertIssued
from schemas.window import KEPT_AFTER_END

LASTS = KEPT_AFTER_END
"""How long a link is taken: as long as an answer to a window that ended when it was made."""

PATH = "/acknowledge/"
_PURPOSE = b"herald acknowledgement link"
_VERSION = 1
_MAC_BYTES = 16
_FIELDS = struct.Struct(">B16s16sII")
# Whole groups of three bytes: no padding, and no bits that could be anything.
_TOKEN = re.compile(r"[A-Za-z0-9_-]{76}")


@dataclass(frozen=True, slots=True)
class Link:
    """What a link is bound to, besides its agency."""

    alert_id: str
    release_id: str
    life: int
    made_at: datetime

    @property
    def expires_at(self) -> datetime:
        """From then on it is not taken."""
        return self.made_at + LASTS


def link_to(alert: AlertIssued, made_at: datetime) -> Link:
    """The link for an alert, to the second."""
    return Link(alert.alert_id, alert.release_id, alert.life, made_at.replace(microsecond=0))


def written(link: Link, agency: str, key: bytes, address: str) -> str:
    """The link as it stands in a message. `address` is the door's public URL, `key` signs for all its doors."""
    ids = UUID(link.alert_id).bytes, UUID(link.release_id).bytes
    fields = _FIELDS.pack(_VERSION, *ids, link.life, int(link.made_at.timestamp()))
    token = base64.urlsafe_b64encode(fields + _mac(fields, agency, key)).decode()
    return f"{address}{PATH}{token}"


def read(token: str, agencies: Iterable[str], key: bytes) -> tuple[str, Link] | None:
    """Which of these agencies a token was signed for, and the link; None: for none of them, or by another key."""
    if not _TOKEN.fullmatch(token):
        return None
    raw = base64.urlsafe_b64decode(token)
    fields, mac = raw[:-_MAC_BYTES], raw[-_MAC_BYTES:]
    signed_for = [agency for agency in agencies if hmac.compare_digest(_mac(fields, agency, key), mac)]
    version, alert, release, life, made = _FIELDS.unpack(fields)
    if not signed_for or version != _VERSION:
        return None
    made_at = datetime.fromtimestamp(made, UTC)
    return signed_for[0], Link(str(UUID(bytes=alert)), str(UUID(bytes=release)), life, made_at)


def _mac(fields: bytes, agency: str, key: bytes) -> bytes:
    signed = b"\0".join((_PURPOSE, agency.encode(), fields))
    return hmac.digest(key, signed, hashlib.sha256)[:_MAC_BYTES]
