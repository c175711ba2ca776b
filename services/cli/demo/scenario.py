"""The demo's scenario: what labs and agencies do, on which day. Files: `deploy/demo/`."""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

import yaml

Behaviour = Literal["at-once", "reminder", "escalation"]
Way = Literal["https", "polling", "stream", "kafka"]
"""How a participant of the secured demo comes in: at the door a lab, an agency by pages or as a stream; or Kafka."""

_HERE = Path(__file__).resolve().parent
FILES = next(
    folder for folder in (_HERE / "files", _HERE.parents[2] / "deploy" / "demo") if (folder / "scenario.yaml").exists()
)
"""Where the demo's files are: in the wheel, or in the checkout."""


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that happens on a day: `action` is announce, withdraw, impersonate, garbage or answer_unknown."""

    day: float
    action: str
    what: str
    lab: str = ""
    through: str = ""
    agency: str = ""


@dataclass(frozen=True, slots=True)
class Scenario:
    """What the demo plays."""

    starts_from: datetime
    days: float
    steps: tuple[Step, ...]
    answers: dict[str, dict[str, Behaviour]]
    participating: dict[str, str]
    ways: dict[str, Way]

    @property
    def labs(self) -> list[str]:
        """Who announces."""
        return sorted({step.through or step.lab for step in self.steps})

    @property
    def agencies(self) -> list[str]:
        """Who reads."""
        return list(self.answers)

    def behaviour(self, agency: str, reference: str) -> Behaviour:
        """How this agency answers alerts on this release."""
        return self.answers.get(agency, {}).get(reference, "at-once")


def _step(raw: dict[str, Any]) -> Step:
    action = next(key for key in raw if key not in {"day", "lab", "through", "agency"})
    return Step(
        float(raw["day"]), action, raw[action], raw.get("lab", ""), raw.get("through", ""), raw.get("agency", "")
    )


def load(folder: Path = FILES) -> Scenario:
    """Reads `scenario.yaml`."""
    raw = yaml.safe_load((folder / "scenario.yaml").read_text())
    return Scenario(
        starts_from=raw["starts_from"],
        days=raw["days"],
        steps=tuple(_step(step) for step in raw["steps"]),
        answers=raw["answers"],
        participating=raw["participating"],
        ways=raw["ways"],
    )
