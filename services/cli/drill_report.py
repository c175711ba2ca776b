"""The readiness report of a drill as people and machines read it."""

from typing import Any

from schemas.values import rfc3339
from services.cli import session
from services.cli.drill_fold import GOOD, Readiness

READY, NOT_READY = 0, 1


def tell(readiness: Readiness, as_json: bool) -> int:
    """Prints the report; returns the exit code."""
    drill, rows = readiness.drill, list(readiness.rows())
    if not as_json:
        word = f", its word is {drill.word}" if drill.word else ""
        print(f"drill {drill.name}, begun {rfc3339(drill.begun_at)}{word}", flush=True)
    for row in rows:
        session.say(as_json, f"  {line(row)}", **row)
    is_ready = readiness.is_ready
    missing = sorted({row["agency"] for row in rows if row["outcome"] not in GOOD})
    session.say(
        as_json,
        "ready: every endpoint has taken it, and every agency has answered"
        if is_ready
        else f"not ready: {', '.join(missing)}",
        what="drill",
        outcome="ready" if is_ready else "not-ready",
        drill=drill.name,
        release_id=drill.release_id,
        begun_at=rfc3339(drill.begun_at),
        word=drill.word,
        not_ready=missing,
    )
    return READY if is_ready else NOT_READY


def line(row: dict[str, Any]) -> str:
    """One row for people."""
    where = row["agency"] + (f"/{row['endpoint']}" if "endpoint" in row else "")
    kind = row.get("channel") or ("Kafka topic" if row["what"] == "topic" else "answer")
    after = f" after {row['seconds']:.1f} s" if row.get("seconds") is not None else ""
    said = row["outcome"].replace("-", " ") + after
    if row["what"] == "topic" and "at" in row:
        said += f" {row['at']}"
    elif row["what"] == "endpoint" and row["attempts"]:
        said += f", {row['attempts']} attempt{'' if row['attempts'] == 1 else 's'}"
    if row.get("reason"):
        said += f" ({row['reason']})"
    if row.get("disposition"):
        said += f": {row['disposition']}, {row['means']}"
    return f"{where:32} {kind:12} {said}"
