"""What somebody has chosen to see, as an address says it."""

from typing import Any
from urllib.parse import urlencode

from pydantic import BaseModel, ConfigDict


class Chosen(BaseModel):
    """Base of filters: every field has what is usual as its default. They hold ids alone: never a lab's reference."""

    model_config = ConfigDict(extra="ignore")

    def query(self, **changes: object) -> str:
        """As an address says it; what is as usual is left out."""
        usual = type(self)().model_dump()
        said = {name: value for name, value in (self.model_dump() | changes).items() if value != usual[name]}
        return f"?{urlencode({name: _word(value) for name, value in said.items()})}" if said else ""


def _word(value: Any) -> Any:
    return str(value).lower() if isinstance(value, bool) else value
