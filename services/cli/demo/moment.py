"""One line of the demo's time line."""

import json
from dataclasses import dataclass
from datetime import datetime

from schemas.values import rfc3339


@dataclass(frozen=True, slots=True)
class Moment:
    """Something that happened, in Herald's time."""

    at: datetime
    who: str
    what: str
    about: str
    detail: str = ""

    def __str__(self) -> str:
        detail = f"  {self.detail}" if self.detail else ""
        return f"{self.at:%d %b %H:%M}  {self.who:12} {self.what:22} {self.about}{detail}"

    def as_json(self) -> str:
        """The same as one JSON object."""
        return json.dumps(
            {"at": rfc3339(self.at), "who": self.who, "what": self.what, "about": self.about, "detail": self.detail}
        )
