"""`herald up --secure`, as its user runs it: who gets in, what each service may do, and what is kept over a restart."""

import json
import os
import signal
import ssl
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from schemas.topics import SERVICES
from services.embedded.authority import RENEWED_DAYS, SERVER_DAYS, certificate
from services.embedded.secured import CA_FILE
from tests.broker import reach
from tests.broker.test_embedded import gone, herald
from tests.scale import long_run

pytestmark = [long_run, pytest.mark.timeout(240)]

PROGRAMS = {*SERVICES, "door", "watchdog"}
REGISTRY = "labs: {aurora-labs: {name: Aurora}}\nagencies: {cisa: {name: CISA}}\n"
RELEASE = {
    "reference": "halo-4",
    "model": {"name": "Halo 4"},
    "trusted_partner_release_at": "2099-01-31T00:00:00Z",
    "early_access": {"opens": "P14D"},
    "audience": {"mode": "matching"},
}


@dataclass(slots=True)
class Up:
    """A `herald up --secure` in a process of its own."""

    data: Path
    process: "subprocess.Popen[str] | None" = None
    where: dict[str, str] = field(default_factory=dict)
    pids: dict[str, int] = field(default_factory=dict)

    @property
    def cafile(self) -> Path:
        return self.data / CA_FILE

    def start(self) -> None:
        """Runs it until it is ready."""
        command = [sys.executable, "-m", "services.cli.main", "up", "--secure", "--data", str(self.data), "--json"]
        clean = {name: value for name, value in os.environ.items() if not name.startswith("HERALD_")}
        with self.data.with_suffix(".log").open("ab") as log:
            self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True, env=clean)
        self.until("ready", "herald")

    def until(self, what: str, name: str) -> None:
        """Takes what it says until it says this."""
        assert self.process is not None
        assert self.process.stdout is not None
        for line in self.process.stdout:
            said = json.loads(line)
            if said["what"] == "listening":
                self.where[said["name"]] = said["detail"]
            if said["what"] == "started":
                self.pids[said["name"]] = int(said["detail"].split("pid ")[1].rstrip(")"))
            if (said["what"], said["name"]) == (what, name):
                return
        pytest.fail(f"it ended without {what} {name}: {self.data.with_suffix('.log').read_text()}")

    def stop(self) -> None:
        """Ends it."""
        if self.process is not None:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(60)
            assert not (self.data / "targets.json").exists()  # nothing is missing

    def said(self, *arguments: str) -> Any:
        """Runs a command on its data directory."""
        done = herald(*arguments, "--json", HERALD_DATA=str(self.data))
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout.splitlines()[-1])

    def client(self, participant: str) -> httpx.Client:
        """A participant at the door."""
        token = self.said("tokens", "issue", participant, "--name", "test")["token"]
        return httpx.Client(
            base_url=self.where["door"],
            verify=ssl.create_default_context(cafile=str(self.cafile)),
            headers={"Authorization": f"Bearer {token}"},
            timeout=60,
        )

    def user(self, program: str) -> dict[str, str]:
        """Who a program is to Kafka, as its environment says."""
        text = Path(f"/proc/{self.pids[program]}/environ").read_text()
        return {
            name.removeprefix("HERALD_KAFKA__"): value
            for name, _, value in (entry.partition("=") for entry in text.split("\0"))
            if name.startswith("HERALD_KAFKA__")
        }

    def login(self, program: str) -> dict[str, Any]:
        """The same for confluent-kafka."""
        its = self.user(program)
        password = Path(its["SASL_PASSWORD_FILE"]).read_text()
        return reach.settings(its["BOOTSTRAP_SERVERS"], Path(its["SSL_CAFILE"]), its["SASL_USERNAME"], password)


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    """One for the file, with a registry."""
    found = Up(tmp_path_factory.mktemp("secured") / "data")
    try:
        found.start()
        found.data.with_suffix(".yaml").write_text(REGISTRY)
        found.said("registry", "apply", str(found.data.with_suffix(".yaml")), "--yes")
        yield found
    finally:
        found.stop()


def test_each_program_is_a_user_of_its_own_and_is_held_to_its_row_over_tls(up: Up) -> None:
    assert {program: up.user(program)["SASL_USERNAME"] for program in PROGRAMS} == {
        program: f"service.{program}.1" for program in PROGRAMS
    }
    assert {up.user(program)["SECURITY_PROTOCOL"] for program in PROGRAMS} == {"SASL_SSL"}
    topics = {f"herald.{name}" for name in ("announcements", "acknowledgements", "acks", "alerts.cisa")}
    assert reach.readable(up.login("windows"), topics) == {"herald.announcements"}
    assert reach.writable(up.login("windows"), topics) == set()
    assert reach.readable(up.login("door"), {"herald.acks"}) == set()


def test_no_client_takes_another_for_this_system_and_none_gets_in_in_the_clear(up: Up, tmp_path: Path) -> None:
    certificate(tmp_path, "other")
    stranger = ssl.create_default_context(cafile=str(tmp_path / CA_FILE))
    for context in (stranger, ssl.create_default_context()):
        with pytest.raises(httpx.ConnectError, match="certificate verify failed"):
            httpx.get(f"{up.where['door']}/v1/alerts", verify=context)
    with pytest.raises(httpx.TransportError):
        httpx.get(f"{up.where['door'].replace('https', 'http')}/v1/alerts")
    windows = up.login("windows")
    assert reach.refusal(windows | {"ssl.ca.location": str(tmp_path / CA_FILE)}) is not None
    assert reach.refusal(windows | {"security.protocol": "PLAINTEXT"}) is not None
    assert reach.refusal(windows) is None


def test_what_it_writes_is_its_owners_alone_but_for_the_authority_and_no_secret_stands_in_a_log(up: Up) -> None:
    files = [path for path in up.data.rglob("*") if path.is_file()]
    assert [path for path in files if path.stat().st_mode & 0o077] == [up.cafile]
    secrets = {path: path.read_text().strip().encode() for path in files if path.suffix == ".password"}
    assert len(secrets) == len(PROGRAMS) + 2, "one a program, the audit's, and the administrator's"
    for path in files:
        if path.suffix not in {".index", ".timeindex"} and path.name not in {
            "server.properties",
            *(secret.name for secret in secrets),
        }:
            assert not any(secret in path.read_bytes() for secret in secrets.values()), path


def test_it_carries_a_release_through_kills_and_a_restart_with_the_users_and_the_authority_that_it_had(up: Up) -> None:
    with up.client("aurora-labs") as lab:
        receipt = lab.post("/v1/releases", params={"wait": 30}, json=RELEASE).raise_for_status().json()
    assert receipt["type"] == "herald.receipt.accepted.v1"
    with up.client("cisa") as agency:
        (first,) = agency.get("/v1/alerts", params={"wait": 30}).raise_for_status().json()["alerts"]
    users, authority = {program: up.login(program) for program in PROGRAMS}, up.cafile.read_bytes()

    for program in ("windows", "door"):
        os.kill(up.pids[program], signal.SIGKILL)
        up.until("started", program)
    assert {program: up.login(program) for program in PROGRAMS} == users
    with up.client("aurora-labs") as lab:
        assert reach.soon(lambda: answers(lab))
        moved = RELEASE | {"trusted_partner_release_at": "2099-02-28T00:00:00Z"}
        lab.post("/v1/releases", json=moved).raise_for_status()
    with up.client("cisa") as agency:
        page = agency.get("/v1/alerts", params={"wait": 30, "after": 0}).raise_for_status().json()
    assert [alert["data"]["kind"] for alert in page["alerts"]] == ["rescheduled"]

    up.stop()
    assert all(gone(pid) for pid in up.pids.values())
    for program in ("kafka", "door"):  # near its end
        (up.data / CA_FILE).with_name(f"{program}.pem").unlink()
        certificate(up.data, program, datetime.now(UTC) - timedelta(days=SERVER_DAYS - RENEWED_DAYS + 1))
    old = (up.data / CA_FILE).with_name("door.pem").read_bytes()
    up.start()
    assert up.cafile.read_bytes() == authority
    assert (up.data / CA_FILE).with_name("door.pem").read_bytes() != old
    again = {program: up.login(program) for program in PROGRAMS}
    assert {program: one["sasl.username"] for program, one in again.items()} == {
        program: one["sasl.username"] for program, one in users.items()
    }
    with up.client("cisa") as agency:
        alerts = agency.get("/v1/alerts").raise_for_status().json()["alerts"]
    assert alerts[0] == first
    assert [alert["data"]["kind"] for alert in alerts] == ["scheduled", "rescheduled"]


def answers(client: httpx.Client) -> bool:
    """Whether the door listens again."""
    try:
        return client.get("/v1/releases/none").status_code < 500
    except httpx.TransportError:
        return False
