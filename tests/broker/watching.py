"""Debian's Prometheus and Alertmanager beside a Herald, with the configuration and the rules that are shipped."""

import asyncio
import re
import shutil
import subprocess
import time
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from services.cli import targets
from services.embedded.lifeline import tied
from services.embedded.ports import free
from tests.broker.deployment import Process
from tests.broker.doorway import TLS
from tests.repo.prometheus import RULES

needs_prometheus = pytest.mark.skipif(shutil.which("prometheus") is None, reason="prometheus is not installed")
needs_alertmanager = pytest.mark.skipif(
    shutil.which("prometheus-alertmanager") is None, reason="prometheus-alertmanager is not installed"
)
_THRESHOLDS = (60, 600, 900)
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def faster(text: str, factor: int) -> str:
    """Configuration or rules, so many times as fast: intervals, ranges, `for`, and what is compared with seconds.

    A bound of a histogram becomes the bucket at the new bound; where there is none, as for skew, it stays. Days in
    which something ends stay as they are; those in which the audit is to run are a minute each.
    """

    def duration(found: re.Match[str]) -> str:
        seconds = int(found[2]) * _UNITS[found[3]] / factor
        return f"{found[1]}{max(1, round(seconds * 1000))}ms{found[4]}"

    for pattern in (r"(\[)(\d+)([smhd])(\])", r"(\w+: )(\d+)([smhd])()$"):
        text = re.sub(pattern, duration, text, flags=re.MULTILINE)
    for seconds in _THRESHOLDS:
        text = re.sub(rf"> {seconds}$", f"> {seconds / factor:g}", text, flags=re.MULTILINE)
    text = re.sub(r"> (\d+) \* 86400$", r"> \1 * 60", text, flags=re.MULTILINE)
    return text.replace('le="60.0"', f'le="{60 / factor:.1f}"')


def named(processes: Iterable[Process]) -> dict[str, int]:
    """Where the live ones of some processes serve their metrics."""
    return {one.name.rpartition(".")[2]: one.port for one in processes if one.popen.poll() is None}


@dataclass(slots=True)
class Watch:
    """A Prometheus that is running, perhaps with an Alertmanager. `data` is where it looks for targets."""

    port: int
    data: Path
    log: Path
    manager: int | None = None
    seen: set[str] = field(default_factory=set)
    """Every alert that has fired since `quiet` or `fires` last returned."""
    over: set[str] = field(default_factory=set)
    """Every alert that has fired and has ended."""
    _fires: set[str] = field(default_factory=set)
    _since: float = 0.0

    def show(self, ports: Mapping[str, int]) -> None:
        """These are the targets from now on."""
        targets.show(self.data, ports)

    async def ask(self, what: str, **parameters: str) -> Any:
        """The data of an answer of Prometheus's API."""
        async with httpx.AsyncClient(timeout=20, verify=TLS) as client:
            answer = await client.get(f"http://127.0.0.1:{self.port}/api/v1/{what}", params=parameters)
            return answer.raise_for_status().json()["data"]

    async def all_up(self, count: int, seconds: float = 60) -> None:
        """Waits until so many targets are there, and all are up."""
        until = time.monotonic() + seconds
        while True:
            found = (await self.ask("targets", state="active"))["activeTargets"]
            if len(found) == count and all(one["health"] == "up" for one in found):
                return
            assert time.monotonic() < until, [(one["labels"], one["health"], one["lastError"]) for one in found]
            await asyncio.sleep(0.2)

    async def rules(self) -> list[dict[str, Any]]:
        """Every rule, once each has been evaluated."""
        while True:
            groups = (await self.ask("rules"))["groups"]
            found = [rule for group in groups for rule in group["rules"]]
            if all(rule["health"] != "unknown" for rule in found):
                return found
            await asyncio.sleep(0.2)

    async def firing(self) -> set[str]:
        """What fires now: the alert, and what it speaks of."""
        found = set()
        for one in (await self.ask("alerts"))["alerts"]:
            labels = {k: v for k, v in one["labels"].items() if k not in {"alertname", "severity", "job"}}
            if one["state"] == "firing":
                found.add(" ".join([one["labels"]["alertname"], *(labels[name] for name in sorted(labels))]))
        self._tell(found)
        self.seen |= found
        return found

    def _tell(self, found: set[str]) -> None:
        """Says what has begun or ended, and how long after the test began to wait for something."""
        seconds = time.monotonic() - self._since
        for name in sorted(found - self._fires):
            print(f"{name} fires after {seconds:.1f} s")
        for name in sorted(self._fires - found):
            print(f"{name} ends after {seconds:.1f} s")
        self.over |= self._fires - found
        self._fires = found

    async def fires(self, *expected: str, among: Collection[str] = (), seconds: float = 120) -> None:
        """Waits until these have fired, all of them; nothing but these and `among` may."""
        self._since = time.monotonic()
        until = self._since + seconds
        while not set(expected) <= self.seen:
            await self.firing()
            assert self.seen <= {*expected, *among}, self.seen
            assert time.monotonic() < until, f"only {self.seen} fired"
            await asyncio.sleep(0.2)

    async def quiet(self, *, but: Collection[str] = (), seconds: float = 120) -> None:
        """Waits until nothing fires any more, and nothing new has fired meanwhile."""
        self._since = time.monotonic()
        until, known = self._since + seconds, {*self.seen, *but}
        while found := await self.firing() - set(but):
            assert self.seen <= known, self.seen - known
            assert time.monotonic() < until, f"{found} fire still"
            await asyncio.sleep(0.2)
        assert self.seen <= known, self.seen - known
        self.seen.clear()

    async def managed(self) -> dict[str, tuple[str, str]]:
        """What Alertmanager has: of each alert its receiver, and whether it is active or suppressed."""
        async with httpx.AsyncClient(timeout=20, verify=TLS) as client:
            answer = await client.get(f"http://127.0.0.1:{self.manager}/api/v2/alerts")
        return {
            one["labels"]["alertname"]: (one["receivers"][0]["name"], one["status"]["state"]) for one in answer.json()
        }


@contextmanager
def watching(folder: Path, *, factor: int = 1, managed: bool = False) -> Iterator[Watch]:
    """Prometheus with what is shipped, at its place beside a data directory; `factor` times as fast."""
    config, data = folder / "deploy" / "prometheus", folder / ".herald"
    shutil.copytree(RULES, config)
    data.mkdir(exist_ok=True)
    port, manager = free(), free() if managed else None
    for path in config.glob("*.yml"):
        text = path.read_text() if factor == 1 else faster(path.read_text(), factor)
        path.write_text(text.replace("127.0.0.1:9093", f"127.0.0.1:{manager}") if manager else text)
    if not (data / targets.FILE).exists():
        targets.show(data, {})
    commands = [
        [
            shutil.which("prometheus") or "prometheus",
            f"--config.file={config / 'prometheus.yml'}",
            f"--storage.tsdb.path={folder / 'series'}",
            f"--web.listen-address=127.0.0.1:{port}",
            "--enable-feature=exemplar-storage",
        ]
    ]
    if manager is not None:
        commands.append(
            [
                shutil.which("prometheus-alertmanager") or "prometheus-alertmanager",
                f"--config.file={config / 'alertmanager.yml'}",
                f"--storage.path={folder / 'alerts'}",
                f"--web.listen-address=127.0.0.1:{manager}",
                "--cluster.listen-address=",
            ]
        )
    log = folder / "watching.log"
    with log.open("wb") as out:
        running = [subprocess.Popen(tied(command), stdout=out, stderr=out) for command in commands]
    try:
        _wait_for(port, running, log)
        yield Watch(port, data, log, manager)
    finally:
        for popen in running:
            popen.terminate()
        for popen in running:
            popen.wait(30)


def _wait_for(port: int, running: list[subprocess.Popen[bytes]], log: Path) -> None:
    until = time.monotonic() + 60
    while True:
        try:
            if httpx.get(f"http://127.0.0.1:{port}/-/ready", verify=TLS).status_code == 200:
                return
        except httpx.TransportError:
            pass
        assert all(popen.poll() is None for popen in running), log.read_text()
        assert time.monotonic() < until, log.read_text()
        time.sleep(0.1)
