"""Runs `herald audit` on a schedule, in a process of its own: what it reads into memory goes with it."""

import asyncio
import os
import sys
import time
from asyncio.subprocess import DEVNULL, PIPE
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from services.kernel.catalogue import AUDIT_DIFFERENCES, AUDIT_LAST_RUN
from services.kernel.observe import log
from services.kernel.settings import WatchdogSettings

SINCE = "P7D"
"""Differences that are older have been somebody's work for long; `herald audit` shows them all."""
_LOOK_SECONDS = 1.0

COMMAND = (sys.executable, "-m", "services.cli.main", "audit", "--json", "--since", SINCE)


class Auditing:
    """Audits while its watchdog is on duty. `is_on_duty`: asked before each run."""

    def __init__(self, settings: WatchdogSettings, is_on_duty: Callable[[], bool]) -> None:
        self._every = settings.audit_every.total_seconds()
        self._env = os.environ | _as_user(settings.audit_username, settings.audit_password_file)
        self._is_on_duty = is_on_duty

    async def run(self) -> None:
        """Audits until it is cancelled, which ends an audit that runs."""
        while True:
            if on_duty := self._is_on_duty():
                await self._audit()
            await asyncio.sleep(self._every if on_duty else _LOOK_SECONDS)

    async def _audit(self) -> None:
        process = await asyncio.create_subprocess_exec(
            *COMMAND, env=self._env, stdin=DEVNULL, stdout=PIPE, stderr=PIPE, limit=1 << 20
        )
        try:
            found, said = await process.communicate()
        finally:
            with suppress(ProcessLookupError):
                process.kill()
        differences = len(found.splitlines())
        if process.returncode != (1 if differences else 0):
            last = said.decode(errors="replace").strip().rpartition("\n")[2]
            log.warning("audit_failed", code=process.returncode, said=last)
            return
        AUDIT_DIFFERENCES.set(differences)
        AUDIT_LAST_RUN.set(time.time())
        if differences:
            log.error("audit_differs", differences=differences)


def _as_user(username: str, password_file: Path | None) -> dict[str, str]:
    if not username:
        return {}
    given = {"HERALD_KAFKA__SASL_USERNAME": username}
    return given | ({"HERALD_KAFKA__SASL_PASSWORD_FILE": str(password_file)} if password_file else {})
