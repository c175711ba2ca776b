"""Differences to plant: each changes what was written, and says what is to be found; None: there is no place for it."""

import random
from collections.abc import Callable
from typing import Any

from services.audit.difference import Kind
from tests.simulation.audited import Written
from tests.simulation.watch import addressed

Found = tuple[Kind, str | None]
"""A kind of difference, and the id of the alert (else None) that it is about."""
Plant = Callable[[Written, random.Random], Found | None]


def _some(
    written: Written, dice: random.Random, topic: str, kind: str = "", **wanted: Any
) -> tuple[int, dict[str, Any]] | None:
    """The place and the data of an event of a type; `wanted`: fields that it must have, `...` any value."""
    fitting = [
        (number, event["data"])
        for number, event in enumerate(written.events[topic])
        if kind in event["type"] and all(_has(event["data"], name, value) for name, value in wanted.items())
    ]
    return dice.choice(fitting) if fitting else None


def _has(data: dict[str, Any], name: str, value: Any) -> bool:
    return name in data if value is ... else bool(data.get(name) == value)


def _about(event: dict[str, Any], alert_id: str) -> bool:
    data = event["data"]
    return alert_id in {data.get("alert_id"), data.get("repeats"), data.get("alert", {}).get("alert_id")}


def dropped_alert(written: Written, dice: random.Random) -> Found | None:
    """The last alert of an agency is nowhere, and neither is what followed from it."""
    last = {e["data"]["agency"]: e["data"] for e in written.events["alerts"]}
    alert = last[dice.choice(sorted(last))] if last else None
    if alert is None or "repeats" in alert:
        return None
    written.drop(lambda name, event: name != "acks" and _about(event, alert["alert_id"]))
    return "alert-missing", None


def alert_out_of_the_middle(written: Written, dice: random.Random) -> Found | None:
    """An alert that another follows is gone from every topic."""
    alerts = [event["data"] for event in written.events["alerts"]]
    followed = [
        (a, b) for a in alerts for b in alerts if (a["agency"], a["sequence"] + 1) == (b["agency"], b["sequence"])
    ]
    if not followed:
        return None
    alert, after = dice.choice(followed)
    written.drop(lambda name, event: event["data"].get("alert_id") == alert["alert_id"] and name.startswith("alerts"))
    return "sequence-gap", after["alert_id"]


def told_to_another(written: Written, dice: random.Random) -> Found | None:
    """An alert went to an agency that the release never addressed."""
    windows = [event["data"]["window"] for event in written.events["windows"]]
    versions = [event["data"]["agencies"] for event in written.events["registry-versions"]]
    ever = {name for w in windows for agencies in versions for name in addressed(w["statement"], w["lab"], agencies)}
    never = sorted({name for agencies in versions for name in agencies} - ever)
    some = _some(written, dice, "alerts", repeats=None)
    if some is None or not never or some[1]["kind"] == "no-longer-addressed":
        return None
    written.change("alerts", some[0], lambda event: event["data"].update(agency=never[0]))
    return "wrong-recipient", some[1]["alert_id"]


def told_twice(written: Written, dice: random.Random) -> Found | None:
    """An alert stands twice, on `alerts` and on the agency's topic."""
    some = _some(written, dice, "alerts")
    if some is None:
        return None
    for name in ("alerts", f"alerts.{some[1]['agency']}"):
        log, events = written.logs[name], written.events[name]
        place = next(n for n, event in enumerate(events) if event["data"]["alert_id"] == some[1]["alert_id"])
        log.insert(place + 1, log[place])
    return "alert-duplicate", some[1]["alert_id"]


def missing_reminder(written: Written, dice: random.Random, step: str = "reminder") -> Found | None:
    """A reminder was not sent, nor the alert that follows from it."""
    some = _some(written, dice, "reminders", chase=step)
    if some is None:
        return None
    gone = some[1]

    def follows(name: str, event: dict[str, Any]) -> bool:
        data = event["data"]
        if name == "reminders":
            return bool(data == gone)
        alert = data.get("alert", data)
        return (alert.get("repeats"), alert.get("tier"), alert.get("chase")) == (gone["alert_id"], gone["tier"], step)

    written.drop(follows)
    return ("reminder-missing" if step == "reminder" else "escalation-missing"), gone["alert_id"]


def missing_escalation(written: Written, dice: random.Random) -> Found | None:
    """The next tier was not told."""
    return missing_reminder(written, dice, "escalation")


def ignored_reminder(written: Written, dice: random.Random) -> Found | None:
    """A reminder was due, and no alert followed from it."""
    some = _some(written, dice, "alerts", repeats=...)
    if some is None:
        return None
    written.drop(lambda name, event: name.startswith("alerts") and event["data"]["alert_id"] == some[1]["alert_id"])
    return "repeat-missing", some[1]["repeats"]


def edited_alert(written: Written, dice: random.Random) -> Found | None:
    """What an agency was told was changed afterwards, in both places alike."""
    some = _some(written, dice, "alerts", content=...)
    if some is None:
        return None
    alert = some[1]["alert_id"]

    def edit(event: dict[str, Any]) -> None:
        event["data"]["content"]["trusted_partner_release_at"] = "2027-12-24T00:00:00Z"

    for name in ("alerts", f"alerts.{some[1]['agency']}"):
        places = [n for n, event in enumerate(written.events[name]) if event["data"]["alert_id"] == alert]
        written.change(name, places[0], edit)
    return "record-edited", alert


def edited_reminder(written: Written, dice: random.Random) -> Found | None:
    """A reminder's id is not what its cause implies."""
    some = _some(written, dice, "reminders")
    if some is None:
        return None
    written.change("reminders", some[0], lambda event: event.update(id="0" * 8 + event["id"][8:]))
    return "record-edited", some[1]["alert_id"]


def edited_answer(written: Written, dice: random.Random) -> Found | None:
    """Another disposition was recorded than the agency gave."""
    some = _some(written, dice, "acknowledgements", "recorded", disposition="declined")
    if some is None:
        return None
    written.change("acknowledgements", some[0], lambda event: event["data"].update(disposition="participating"))
    return "record-edited", some[1]["alert_id"]


def edited_copy(written: Written, dice: random.Random) -> Found | None:
    """The agency's own topic says something else."""
    some = _some(written, dice, "alerts")
    if some is None:
        return None
    name, alert = f"alerts.{some[1]['agency']}", some[1]["alert_id"]
    place = next(n for n, event in enumerate(written.events[name]) if event["data"]["alert_id"] == alert)
    written.change(name, place, lambda event: event["data"].update(tlp="TLP:CLEAR"))
    return "edge-copy-differs", alert


def missing_copy(written: Written, dice: random.Random) -> Found | None:
    """The agency's own topic lacks an alert."""
    some = _some(written, dice, "alerts")
    if some is None:
        return None
    name, alert = f"alerts.{some[1]['agency']}", some[1]["alert_id"]
    written.drop(lambda topic, event: topic == name and event["data"]["alert_id"] == alert)
    return "edge-copy-missing", alert


def missing_disclosure(written: Written, dice: random.Random) -> Found | None:
    """The lab was not told who was."""
    some = _some(written, dice, "alerts", repeats=None)
    if some is None:
        return None
    alert = some[1]["alert_id"]
    written.drop(lambda _, event: "disclosure" in event["type"] and event["data"]["alert_id"] == alert)
    return "disclosure-missing", alert


def missing_delivery(written: Written, dice: random.Random) -> Found | None:
    """An endpoint was not asked, and nothing came of it."""
    some = _some(written, dice, "deliveries", "requested", tier="watch")
    if some is None:
        return None
    gone = some[1]["delivery_id"]
    written.drop(lambda name, event: name.startswith("deliver") and event["data"].get("delivery_id") == gone)
    return "delivery-missing", some[1]["alert"]["alert_id"]


def wrong_channel(written: Written, dice: random.Random) -> Found | None:
    """Another tier's endpoint was asked than the alert is for."""
    some = _some(written, dice, "deliveries", "requested", endpoint="desk")
    if some is None or "chase" in some[1]["alert"]:
        return None
    written.change("deliveries", some[0], lambda event: event["data"].update(endpoint="nowhere"))
    return "wrong-channel", some[1]["alert"]["alert_id"]


def told_too_much(written: Written, dice: random.Random) -> Found | None:
    """A thin endpoint was given what the release says."""
    some = _some(written, dice, "deliveries", "requested", endpoint="thin")
    whole = {event["data"]["alert_id"]: event["data"] for event in written.events["alerts"]}
    if some is None or "content" not in (alert := whole[some[1]["alert"]["alert_id"]]):
        return None
    written.change("deliveries", some[0], lambda event: event["data"].update(alert=alert))
    return "record-edited", alert["alert_id"]


def no_outcome(written: Written, dice: random.Random) -> Found | None:
    """Nothing came of a delivery."""
    some = _some(written, dice, "delivery-outcomes")
    if some is None:
        return None
    gone = some[1]["delivery_id"]
    written.drop(lambda name, event: name == "delivery-outcomes" and event["data"]["delivery_id"] == gone)
    return "outcome-missing", some[1]["alert_id"]


def invented_outcome(written: Written, dice: random.Random) -> Found | None:
    """An endpoint is said to have taken what it was never asked to deliver."""
    some = _some(written, dice, "delivery-outcomes", "succeeded")
    if some is None:
        return None
    written.change("delivery-outcomes", some[0], lambda event: event["data"].update(delivery_id=some[1]["alert_id"]))
    return "outcome-unexpected", some[1]["alert_id"]


def lost_answer(written: Written, dice: random.Random) -> Found | None:
    """An answer was accepted, and is not recorded."""
    some = _some(written, dice, "acknowledgements", "recorded")
    if some is None:
        return None
    written.drop(lambda name, event: name == "acknowledgements" and event["data"] == some[1])
    return "answer-missing", some[1]["alert_id"]


def invented_answer(written: Written, dice: random.Random) -> Found | None:
    """An answer is recorded that no agency gave."""
    some = _some(written, dice, "acknowledgements", "recorded")
    if some is None:
        return None
    written.drop(lambda name, event: name == "acks" and event["data"]["alert_id"] == some[1]["alert_id"])
    return "answer-unexpected", some[1]["alert_id"]


def missing_window(written: Written, dice: random.Random) -> Found | None:
    """The last material statement moved no window, and nobody heard of it."""
    last = written.events["windows"][-1]["data"]["window"]
    first = next(e["data"] for e in written.events["windows"] if e["data"]["window"]["revision"] == last["revision"])
    if "due_at" in first or last["life"] > 1:
        return None
    written.drop(lambda name, event: name == "windows" and event["data"]["window"]["revision"] == last["revision"])
    return "window-missing", None


def missing_closing(written: Written, dice: random.Random) -> Found | None:
    """A window that should have closed by itself did not."""
    last = written.events["windows"][-1]
    if "closed" not in last["type"] or "due_at" not in last["data"]:
        return None
    written.drop(lambda name, event: name == "windows" and event["id"] == last["id"])
    return "transition-missing", None


PLANTS: dict[str, Plant] = {
    name: plant
    for name, plant in globals().items()
    if callable(plant) and getattr(plant, "__module__", "") == __name__ and not name.startswith("_")
}
