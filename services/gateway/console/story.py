"""The story of a release: its events, each as a sentence for people. Pure."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

from services.gateway.console.standing import WHY
from services.gateway.model.overview import Happened

Kind = Literal["lab", "window", "alert", "answer", "silence", "delivery", "receipt"]
_HERALD = "Herald"
_REASONS = {
    "release": "the release was reached",
    "lab_closing": "as the lab had planned",
    "withdrawn": "the lab withdrew the release",
    "offer_withdrawn": "the lab took its offer back",
    "no_time_left": "no time was left",
    "release_reached": "the release came before it opened",
}


@dataclass(frozen=True, slots=True)
class Entry:
    """One thing that happened: who did what, and more about it. `delivery_id`: of an attempt, where all are shown."""

    at: datetime
    kind: Kind
    who: str
    what: str
    more: tuple[str, ...] = ()
    delivery_id: str | None = None

    @property
    def day(self) -> str:
        """The day of it, as a heading says it; days in the order of these are in order."""
        return f"{self.at.astimezone(UTC):%Y-%m-%d, %A}"


def told(
    happened: Sequence[Happened], attempts: Sequence[dict[str, Any]], at: Callable[[int], datetime]
) -> list[Entry]:
    """Everything, oldest first. `at`: Herald's time at a real instant, in milliseconds since 1970."""
    disclosed = {one.event["data"]["alert_id"] for one in happened if ".disclosure." in one.event["type"]}
    entries = [entry for one in happened for entry in _entries(one, disclosed, at(one.appended_ms))]
    entries += [_attempt(one) for one in attempts]
    return sorted(entries, key=lambda entry: entry.at)


def _entries(one: Happened, disclosed: set[str], at: datetime) -> Iterator[Entry]:
    family, happened = one.event["type"].removeprefix("herald.").removesuffix(".v1").split(".")
    data = one.event["data"]
    match family:
        case "announcement":
            yield _announcement(data, happened, at)
        case "window":
            yield _window(data, happened, at)
        case "alert":
            yield _alert(data, disclosed, at)
        case "acknowledgement":
            yield _answer(data, happened, at)
        case "receipt":
            yield _receipt(data, happened, one.topic.partition(".")[2], at)


def _announcement(data: dict[str, Any], happened: str, at: datetime) -> Entry:
    said = data["announcement"]
    more = [f"revision {said['revision']}, life {said['life']}"]
    if data.get("changed"):
        more.append(f"changed: {_listed(data['changed'])}")
        more.append("agencies are told" if data["material"] else "nothing that alerts anybody")
    what = {"recorded": "announced the release", "revised": "stated it anew", "withdrawn": "withdrew it"}[happened]
    return Entry(at, "lab", said["lab"], what, tuple(more))


def _window(data: dict[str, Any], happened: str, at: datetime) -> Entry:
    window, more = data["window"], []
    if happened in {"scheduled", "rescheduled", "opened"}:
        more += [f"{word} {_when(window[name])}" for word, name in _TIMES if window.get(name)]
    if data.get("changed"):
        more.append(f"changed: {_listed(data['changed'])}")
    if window.get("reason") and happened in {"closed", "withdrawn", "not-offered"}:
        more.append(_REASONS[window["reason"]])
    if window["short_notice"] and happened in {"scheduled", "opened"}:
        more.append("short notice")
    if late := _late(data):
        more.append(late)
    what = {
        "scheduled": "planned the window",
        "rescheduled": "moved the window",
        "opened": "opened the window",
        "closing-soon": "noted that the window closes soon",
        "closed": "closed the window",
        "withdrawn": "took the window back",
        "not-offered": "noted that no early access is offered",
    }[happened]
    return Entry(at, "window", _HERALD, what, tuple(more))


def _alert(data: dict[str, Any], disclosed: set[str], at: datetime) -> Entry:
    chase = data.get("chase")
    what = f"told {data['agency']}: {data['kind'].replace('-', ' ')}"
    if chase:
        what = f"{'reminded' if chase == 'reminder' else 'escalated to'} {data['agency']}: {data['kind']}"
    more = [f"because {WHY[data['why']]}", data["tlp"]]
    if data.get("tier"):
        more.append(f"tier {data['tier']}")
    if data.get("answer_by") and not chase:
        more.append(f"answer by {_when(data['answer_by'][0]['due_at'])}")
    if data["alert_id"] in disclosed:
        more.append("the lab was told so")
    if late := _late(data):
        more.append(late)
    return Entry(at, "alert", _HERALD, what, tuple(more))


def _answer(data: dict[str, Any], happened: str, at: datetime) -> Entry:
    if happened == "overdue":
        more = [f"tier {data['tier']}, due {_when(data['due_at'])}"]
        if data["exhausted"]:
            more.append("the last tier: nobody is chased further")
        if data["closed"]:
            more.append("the window has ended")
        return Entry(at, "silence", data["agency"], "has not answered in time", tuple(more))
    more = ["an acknowledgement, no approval"]
    more += [word for name, word in (("late", "late"), ("superseded", "a newer alert asks")) if data.get(name)]
    return Entry(at, "answer", data["agency"], f"answered: {data['disposition']}", tuple(more))


def _receipt(data: dict[str, Any], happened: str, to: str, at: datetime) -> Entry:
    more = [f"{one['code']}: {one['message']}" for one in (*data.get("warnings", ()), *data.get("reasons", ()))]
    return Entry(at, "receipt", _HERALD, f"gave {to} a receipt: {happened}", tuple(more))


def _attempt(data: dict[str, Any]) -> Entry:
    where = f"{data['agency']}/{data['endpoint']}"
    more = [data["channel"]] if data["channel"] else []
    more += [f"{data['seconds']:.2f} s"] if data["seconds"] is not None else []
    more += [one for one in (data["reason"], data["abandoned_as"], data["answer"]) if one]
    if data["retry_at"]:
        more.append(f"again {_when(data['retry_at'])}")
    what = {"taken": "was taken by", "failed": "came to nothing at", "abandoned": "was given up at"}[data["outcome"]]
    at = datetime.fromisoformat(data["at"])
    return Entry(at, "delivery", "a delivery", f"{what} {where}", tuple(more), data["delivery_id"])


_TIMES = (("opens", "opens_at"), ("opened", "opened_at"), ("closes", "closes_at"))


def _late(data: dict[str, Any]) -> str | None:
    if not data.get("due_at"):
        return None
    seconds = (datetime.fromisoformat(data["happened_at"]) - datetime.fromisoformat(data["due_at"])).total_seconds()
    return f"{seconds:.0f} s late, due {_when(data['due_at'])}" if seconds >= 60 else None


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names).replace("_", " ")


def _when(text: str) -> str:
    at = datetime.fromisoformat(text).astimezone(UTC)
    return f"{at.day} {at:%b %Y %H:%M} UTC"
