"""The independent reader: what stands on the topics, compared with what was expected. It knows no service's state."""

import statistics
from collections import defaultdict
from collections.abc import Mapping
from contextlib import suppress
from difflib import SequenceMatcher
from pathlib import Path
from typing import Any

import yaml

from schemas.registry import Agency
from services.cli.demo import pushed
from services.cli.demo.findings import Findings
from services.cli.demo.play import Player
from services.cli.demo.topics import Topics
from services.kernel.connection import Connection

HEARD_SECONDS = 30.0
"""How long after the end what stands on an agency's topic may take to come over its line."""


async def check(
    connection: Connection, folder: Path, player: Player, registry: Mapping[str, Agency], door: str = ""
) -> Findings:
    """Reads the topics from the beginning and compares them with `expected.yaml`, and what was pushed with them.

    Where there is a door it compares, instead of the agencies' topics, what each agency heard over its own line.
    """
    expected = yaml.safe_load((folder / "expected.yaml").read_text())
    topics = Topics(connection)
    await topics.start()
    try:
        agencies = expected["agencies"]
        alerts = {agency: await topics.read(f"alerts.{agency}") for agency in agencies}
        receipts = await topics.read_family("receipts.")
        letters = await topics.read("dead-letters")
        windows = await topics.read("windows")
        spoken = await topics.read_family("releases.")
        outcomes = [event["data"] for _, event in await topics.read("delivery-outcomes")]
    finally:
        await topics.stop()
    heard = {agency: [event for _, event in records] for agency, records in alerts.items()}
    told = {agency: [event["data"] for event in events] for agency, events in heard.items()}
    refused = [r["code"] for _, e in receipts if e["type"].endswith("refused.v1") for r in e["data"]["reasons"]]
    wanted_letters = expected["dead_letters"]
    if door:
        with suppress(TimeoutError):
            await player.hears({agency: len(events) for agency, events in heard.items()}, HEARD_SECONDS)
        heard = {agency: player.heard[agency] for agency in agencies}
        refused, wanted_letters = player.refused, expected["dead_letters_at_the_door"]
    due = {name: pushed.due(agency, told[name]) for name, agency in registry.items()}
    with suppress(TimeoutError):
        await player.is_pushed({(a, e, one) for a in due for e in due[a] for one in due[a][e]}, HEARD_SECONDS)
    by_push = pushed.compare(registry, told, player.pushed, outcomes, door)
    findings = _compare(agencies, heard)
    findings.differences += by_push.differences
    seen = [event for events in heard.values() for event in events]
    for what, found, wanted in (
        ("refused", sorted(refused), sorted(expected["refused"])),
        ("dead letters", sorted(reason for reason, _ in letters), sorted(wanted_letters)),
    ):
        if found != wanted:
            findings.differences.append(f"{what}: expected {wanted}, found {found}")
    lives = {(e["data"]["window"]["release_id"], e["data"]["window"]["life"]) for _, e in windows}
    findings.summary = {
        "releases": len({release for release, _ in lives}),
        "windows": len({w["release_id"] for w in _windows(windows) if w.get("opens_at")}),
        **findings.summary,
        "refused": len(refused),
        "dead_letters": len(letters),
        "reminders": sum(e["data"].get("chase") == "reminder" for e in seen),
        "escalations": sum(e["data"].get("chase") == "escalation" for e in seen),
        "announce_to_alert_ms": _latency(spoken, alerts),
        **by_push.summary,
    }
    return findings


def _windows(records: list[tuple[Any, Any]]) -> list[dict[str, Any]]:
    return [event["data"]["window"] for _, event in records]


def _compare(expected: dict[str, Any], heard: dict[str, list[dict[str, Any]]]) -> Findings:
    findings = Findings({})
    lost = repeated = out_of_order = seen = 0
    for agency, releases in expected.items():
        ids: set[str] = set()
        keys: dict[str, str] = {}
        found: dict[str, list[dict[str, Any]]] = defaultdict(list)
        latest: dict[str, int] = {}
        for event in heard[agency]:
            data = event["data"]
            seen += 1
            if event["id"] in ids:
                repeated += 1
                findings.differences.append(f"{agency}: alert {event['id']} stands there twice")
                continue
            ids.add(event["id"])
            if data["sequence"] <= latest.get(data["release_id"], 0):
                out_of_order += 1
                findings.differences.append(f"{agency}: alert {event['id']} is out of order")
            latest[data["release_id"]] = data["sequence"]
            if content := data.get("content"):
                keys[data["release_id"]] = f"{content['lab']}/{content['reference']}"
            found[keys.get(data["release_id"], data["release_id"])].append(data)
        for key in sorted(releases.keys() | found.keys()):
            wanted, got = releases.get(key, []), found.get(key, [])
            missing, differences = _differences(wanted, got)
            lost += missing
            findings.differences += [f"{agency} {key}: {difference}" for difference in differences]
    wanted_total = sum(len(entries) for releases in expected.values() for entries in releases.values())
    findings.summary = {
        "alerts_expected": wanted_total,
        "alerts_seen": seen,
        "lost": lost,
        "repeated": repeated,
        "out_of_order": out_of_order,
    }
    return findings


def _differences(wanted: list[dict[str, Any]], got: list[dict[str, Any]]) -> tuple[int, list[str]]:
    """How many expected alerts are missing, and every difference in one line."""
    names = [[f"{a['kind']}{' ' + a['chase'] if a.get('chase') else ''}" for a in side] for side in (wanted, got)]
    missing, lines = 0, []
    for tag, i, j, k, m in SequenceMatcher(None, names[0], names[1], autojunk=False).get_opcodes():
        if tag == "equal":
            for one, other in zip(wanted[i:j], got[k:m], strict=True):
                lines += [
                    f"{one['kind']}: {field} is {_field(other, field)!r}, expected {value!r}"
                    for field, value in one.items()
                    if _field(other, field) != value
                ]
            continue
        missing += j - i
        lines += [f"{name} is missing" for name in names[0][i:j]]
        lines += [f"{name} was not expected" for name in names[1][k:m]]
    return missing, lines


def _field(alert: dict[str, Any], field: str) -> Any:
    if field in alert:
        return alert[field]
    return ((alert.get("content") or {}).get("window") or {}).get(field)


def _latency(spoken: list[tuple[int, Any]], alerts: dict[str, list[tuple[int, Any]]]) -> dict[str, float]:
    """From the log taking a statement to the log taking the alerts that it led to, in milliseconds."""
    statements: dict[str, list[int]] = defaultdict(list)
    for at, event in spoken:
        if event is not None:
            statements[event["data"].get("reference", "")].append(at)
    took = []
    for records in alerts.values():
        for at, event in records:
            data = event["data"]
            if data.get("chase") or data.get("due_at") or not data.get("content"):
                continue
            before = [stated for stated in statements[data["content"]["reference"]] if stated <= at]
            if before:
                took.append(at - max(before))
    if not took:
        return {"p50": 0.0, "p99": 0.0}
    took.sort()
    return {"p50": float(statistics.median(took)), "p99": float(took[min(len(took) - 1, int(len(took) * 0.99))])}
