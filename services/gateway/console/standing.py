"""How an agency stands to a release: told, asked, answered, silent. Pure: from its alerts and answers of one life."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

State = Literal["told", "received", "participating", "declined", "finished", "overdue", "dropped"]

WORDS: dict[State, str] = {
    "told": "told",
    "received": "received",
    "participating": "participating",
    "declined": "declined",
    "finished": "finished",
    "overdue": "overdue",
    "dropped": "addressed no more",
}
WHY = {
    "listed": "the lab listed it",
    "matching": "its interests match",
    "short-notice": "time is short",
    "was-addressed": "it was told before",
}
"""Why an agency is told, in words."""

_OVERDUE = "herald.acknowledgement.overdue.v1"


@dataclass(frozen=True, slots=True)
class Standing:
    """One agency and one release. `asked_until`: when an answer is due; `overdue_since`: when one was, in vain."""

    agency: str
    state: State
    why: str
    kind: str
    told_at: datetime
    alerts: int
    asked_until: datetime | None = None
    overdue_since: datetime | None = None
    exhausted: bool = False

    @property
    def is_overdue(self) -> bool:
        """Whether somebody waits for it."""
        return self.overdue_since is not None


def standing(alerts: Sequence[dict[str, Any]], answers: Sequence[dict[str, Any]], now: datetime) -> Standing | None:
    """An agency's standing, of the data of its alerts and the events of its answers, oldest first. None: never told."""
    if not alerts:
        return None
    life = alerts[-1]["life"]
    mine = [one for one in alerts if one["life"] == life]
    last = mine[-1]
    recorded = [one["data"] for one in answers if one["type"] != _OVERDUE and one["data"]["life"] == life]
    silent = [one["data"] for one in answers if one["type"] == _OVERDUE and one["data"]["life"] == life]
    asking = next((one for one in reversed(mine) if one.get("asks") and not one.get("repeats")), None)
    state = _state(last, recorded)
    due = asking if asking is not None and _waits(asking, mine, recorded, state) else None
    late = [one for one in silent if due is not None and one["alert_id"] == due["alert_id"]]
    until = [datetime.fromisoformat(one["due_at"]) for one in due["answer_by"]] if due else []
    since = datetime.fromisoformat(late[0]["due_at"]) if late else None
    if since is None and until and until[0] < now:
        since = until[0]
    return Standing(
        agency=last["agency"],
        state="overdue" if since is not None and state == "told" else state,
        why=last["why"],
        kind=last["kind"],
        told_at=datetime.fromisoformat(mine[0]["issued_at"]),
        alerts=len(mine),
        asked_until=next((one for one in until if one > now), None),
        overdue_since=since,
        exhausted=any(one.get("exhausted") or one.get("closed") for one in late),
    )


def _state(last: dict[str, Any], recorded: Sequence[dict[str, Any]]) -> State:
    if last["kind"] == "no-longer-addressed":
        return "dropped"
    said: list[State] = [one["disposition"] for one in recorded]
    words = [one for one in said if one != "received"]
    return words[-1] if words else "received" if said else "told"


def _waits(
    asking: dict[str, Any], alerts: Sequence[dict[str, Any]], recorded: Sequence[dict[str, Any]], state: State
) -> bool:
    """Whether the last alert that is chased is unanswered. An answer to its repetition counts as well."""
    same = {one["alert_id"] for one in alerts if asking["alert_id"] in {one["alert_id"], one.get("repeats")}}
    answered = any(one["alert_id"] in same for one in recorded)
    over = state in {"dropped", "finished"} or (state == "declined" and asking["kind"] != "withdrawn")
    return bool(asking.get("chased")) and not answered and not over
