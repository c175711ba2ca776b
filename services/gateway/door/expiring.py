"""When tokens end, as a metric."""

from collections.abc import Iterable
from datetime import datetime

from schemas.credential import CredentialIssued
from services.kernel.catalogue import TOKEN_EXPIRY


class Expiring:
    """The first end among each participant's tokens, of those that are still taken."""

    def __init__(self) -> None:
        self._shown: set[str] = set()

    def show(self, tokens: Iterable[CredentialIssued], now: datetime) -> None:
        """Those that there are now. Those of CIs last minutes, and are left out."""
        ends: dict[str, datetime] = {}
        for one in tokens:
            if one.identity_expires_at is None and one.expires_at > now:
                ends[one.participant] = min(one.expires_at, ends.get(one.participant, one.expires_at))
        for participant in self._shown - ends.keys():
            TOKEN_EXPIRY.remove(participant)
        for participant, at in ends.items():
            TOKEN_EXPIRY.labels(participant).set(at.timestamp())
        self._shown = {*ends}
