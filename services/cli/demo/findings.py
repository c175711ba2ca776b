"""What the demo's check found."""

from dataclasses import dataclass, field
from typing import Any


@dataclass(slots=True)
class Findings:
    """The summary, and each difference from what should be in one line."""

    summary: dict[str, Any]
    differences: list[str] = field(default_factory=list)

    @property
    def exit_code(self) -> int:
        """0: nothing differs."""
        return 1 if self.differences else 0
