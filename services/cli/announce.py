"""`herald announce` and `herald withdraw`: a lab speaks, and gets its receipt."""

import asyncio
import hashlib
import json
import os
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any
from uuid import uuid4

import typer
from pydantic import ValidationError

from schemas.explain import explain
from schemas.notice import Refused
from schemas.release import Release, ReleaseWithdrawn
from schemas.release_file import load
from schemas.trace import usable
from schemas.values import rfc3339
from schemas.yaml_file import FileError
from services.cli import door, exchange, session

Lab = Annotated[str, typer.Option("--lab", envvar="HERALD_LAB", help="The lab that speaks.")]
Timeout = Annotated[float, typer.Option(min=0.1, help="Seconds to wait for the receipt, in all.")]
Strict = Annotated[bool, typer.Option("--strict", help="Exit with 3 on warnings too.")]
NoFail = Annotated[bool, typer.Option("--no-fail", help="Always exit with 0: a CI never waits on Herald.")]
EventId = Annotated[str | None, typer.Option("--id", help="The event's id; the same again gets the same receipt.")]
StatedAt = Annotated[
    datetime | None,
    typer.Option(formats=["%Y-%m-%dT%H:%M:%S%z"], help="When the lab said so (CI: the commit's time)."),
]


def announce(
    file: Annotated[Path, typer.Argument(help="The release, YAML or JSON.")],
    lab: Lab,
    api: door.Api = None,
    timeout: Timeout = 30.0,
    event_id: EventId = None,
    stated_at: StatedAt = None,
    artifact: Annotated[Path | None, typer.Option(help="What was built: its SHA-256 becomes artifact_digest.")] = None,
    strict: Strict = False,
    no_fail: NoFail = False,
    as_json: session.Json = False,
) -> None:
    """Announce a release, or what has changed of it: the whole file each time. The same file twice is a no-op.

    Exit codes: 0 accepted or unchanged, 3 refused, 4 no answer in time, 2 usage or an unusable file.

    Example: herald announce release.yaml --lab aurora-labs --api https://herald.example
    """
    with _forgiving(no_fail):
        release = load(file.read_text(encoding="utf-8"))
        data = json.loads(release.model_dump_json(exclude_none=True))
        if stated_at is not None:
            data["stated_at"] = rfc3339(stated_at)
        if artifact is not None:
            data["model"]["artifact_digest"] = _digest(artifact, release.model.artifact_digest)
        event = enveloped("herald.release.announced.v1", lab, event_id, data)
        about = f"{lab}/{release.reference}"
        raise typer.Exit(_speak(event, lab, api, about, timeout, as_json, strict))


def withdraw(
    release: Annotated[str, typer.Argument(help="Its reference, or `<lab>/<reference>`.")],
    lab: Lab,
    api: door.Api = None,
    timeout: Timeout = 30.0,
    event_id: EventId = None,
    stated_at: StatedAt = None,
    no_fail: NoFail = False,
    as_json: session.Json = False,
) -> None:
    """Withdraw a release. It erases nothing; announcing it again is a new life of the same release.

    Example: herald withdraw halo-4 --lab aurora-labs
    """
    with _forgiving(no_fail):
        reference = release.removeprefix(f"{lab}/")
        data = {"reference": reference} | ({"stated_at": rfc3339(stated_at)} if stated_at else {})
        try:
            ReleaseWithdrawn.model_validate_json(json.dumps(data))
        except ValidationError as error:
            raise FileError(explain(error, Release)) from None
        event = enveloped("herald.release.withdrawn.v1", lab, event_id, data)
        raise typer.Exit(_speak(event, lab, api, f"{lab}/{reference}", timeout, as_json, strict=False))


def _digest(artifact: Path, stated: str | None) -> str:
    algorithm = (stated or "sha256").partition(":")[0]
    with artifact.open("rb") as built:
        found = f"{algorithm}:{hashlib.file_digest(built, algorithm).hexdigest()}"
    if stated not in {None, found}:
        said = f"states {stated}, and {artifact} is {found}: leave it out of the file, or build what it states"
        raise FileError((Refused(code="invalid", field="model.artifact_digest", message=said),))
    return found


def enveloped(kind: str, lab: str, event_id: str | None, data: dict[str, Any]) -> dict[str, Any]:
    """A lab's event around its data, with an id that is drawn unless one is given.

    It continues the trace that the CI has begun and hands on as TRACEPARENT, as OpenTelemetry has it.
    """
    trace = usable(os.environ.get("TRACEPARENT"))
    return {
        "specversion": "1.0",
        "id": event_id or str(uuid4()),
        "source": f"/labs/{lab}",
        "type": kind,
        "datacontenttype": "application/json",
        **({"traceparent": trace} if trace else {}),
        "data": data,
    }


def _speak(
    event: dict[str, Any], lab: str, api: str | None, about: str, timeout: float, as_json: bool, strict: bool
) -> int:
    if api is not None:
        outcome = asyncio.run(door.submit(api, event, timeout))
    else:
        connection = session.connect(session.settings())
        outcome = asyncio.run(exchange.exchange(connection, "releases", lab, event, timeout))
    return exchange.tell(outcome, as_json, about, strict=strict)


class _forgiving:
    """With `no_fail`, whatever happens is one line on standard error and exit code 0."""

    def __init__(self, no_fail: bool) -> None:
        self._no_fail = no_fail

    def __enter__(self) -> None:
        """Nothing to prepare."""

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        if not self._no_fail or error is None or not isinstance(error, Exception):
            return
        if not isinstance(error, typer.Exit):
            session.note(f"herald: not announced, and the release goes on: {error}")
        elif error.exit_code:
            session.note("herald: see above; the release goes on (--no-fail)")
        raise typer.Exit(0)
