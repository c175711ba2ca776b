"""Who reaches what in a secured Kafka: written down here, independently of the code, and tried with other clients.

One broker for the file; what is tried leaves nothing behind.
"""

import asyncio
import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import confluent_kafka
import pytest
from confluent_kafka import KafkaError
from typer.testing import CliRunner, Result

from schemas.access import Acl
from services.cli.kafka_access import KafkaAccess
from services.cli.main import command_line
from services.cli.numbering import numbered
from services.embedded.authority import certificate
from services.embedded.broker import Broker
from services.embedded.secured import CA_FILE
from services.gateway.console.groups import Unreadable, groups
from tests.broker import documented, reach
from tests.broker.deployment import Deployment
from tests.broker.test_embedded import herald

LIBRARIES = Path(confluent_kafka.__file__).parents[1] / "confluent_kafka.libs"
# Kafka 4 takes no SCRAM from librdkafka before 2.6.1, which distributions still ship: kcat gets the wheel's.
KCAT = {"LD_PRELOAD": str(next(LIBRARIES.glob("librdkafka*.so*"), ""))}
with_kcat = pytest.mark.skipif(
    not (shutil.which("kcat") and LIBRARIES.is_dir()), reason="no kcat, or confluent-kafka brings no librdkafka for it"
)

REGISTRY = """\
labs: {aurora-labs: {name: Aurora}, basalt-ai: {name: Basalt}}
agencies: {cisa: {name: CISA}, cisa-ics: {name: CISA ICS}, treasury: {name: Treasury}}
drills: {lab: basalt-ai}
"""
RELEASE = """\
reference: halo-4
model: {name: Halo 4}
trusted_partner_release_at: 2099-01-31T00:00:00Z
early_access: {opens: P14D}
audience: {mode: matching}
"""

TOPICS = (
    "releases.aurora-labs releases.basalt-ai acks.cisa acks.cisa-ics acks.treasury "
    "alerts.cisa alerts.cisa-ics alerts.treasury "
    "receipts.aurora-labs receipts.basalt-ai receipts.cisa receipts.cisa-ics receipts.treasury "
    "releases acks announcements windows alerts acknowledgements reminders deliveries delivery-outcomes dead-letters "
    "replays registry registry-versions credentials audit heartbeat "
    "releases.watchdog acks.watchdog-desk alerts.watchdog-desk receipts.watchdog receipts.watchdog-desk "
    "state.gateway state.announcements state.windows state.notifier state.deliveries state.acknowledgements"
)

READS = {
    "aurora-labs": "receipts.aurora-labs",
    "cisa": "alerts.cisa receipts.cisa heartbeat",
    "cisa-ics": "alerts.cisa-ics receipts.cisa-ics heartbeat",
    "service.gateway": "releases.aurora-labs releases.basalt-ai acks.cisa acks.cisa-ics acks.treasury "
    "releases.watchdog acks.watchdog-desk registry-versions replays state.gateway",
    "service.announcements": "releases registry-versions replays state.announcements",
    "service.windows": "announcements registry-versions replays state.windows",
    "service.notifier": "windows reminders acknowledgements delivery-outcomes registry-versions replays state.notifier",
    "service.deliveries": "deliveries registry-versions replays state.deliveries",
    "service.acknowledgements": "acks alerts windows replays state.acknowledgements",
    "service.door": "alerts.cisa alerts.cisa-ics alerts.treasury receipts.aurora-labs receipts.basalt-ai receipts.cisa "
    "receipts.cisa-ics receipts.treasury announcements windows acknowledgements deliveries delivery-outcomes "
    "registry-versions credentials heartbeat dead-letters state.gateway state.announcements state.windows "
    "state.notifier state.deliveries state.acknowledgements",
    "service.watchdog": "alerts.watchdog-desk receipts.watchdog receipts.watchdog-desk heartbeat registry-versions",
    "service.audit": "releases.aurora-labs releases.basalt-ai acks.cisa acks.cisa-ics acks.treasury alerts.cisa "
    "alerts.cisa-ics alerts.treasury receipts.aurora-labs receipts.basalt-ai receipts.cisa receipts.cisa-ics "
    "receipts.treasury releases acks announcements windows alerts acknowledgements reminders deliveries "
    "delivery-outcomes registry-versions releases.watchdog acks.watchdog-desk alerts.watchdog-desk receipts.watchdog "
    "receipts.watchdog-desk",
    "service.operator": "dead-letters windows alerts acknowledgements deliveries delivery-outcomes registry "
    "registry-versions receipts.basalt-ai credentials "
    "audit state.gateway state.announcements state.windows state.notifier state.deliveries "
    "state.acknowledgements",
}
WRITES = {
    "aurora-labs": "releases.aurora-labs",
    "cisa": "acks.cisa",
    "cisa-ics": "acks.cisa-ics",
    "service.gateway": "releases acks receipts.aurora-labs receipts.basalt-ai receipts.cisa receipts.cisa-ics "
    "receipts.treasury receipts.watchdog receipts.watchdog-desk dead-letters state.gateway",
    "service.announcements": "announcements receipts.aurora-labs receipts.basalt-ai receipts.watchdog dead-letters "
    "state.announcements",
    "service.windows": "windows dead-letters state.windows",
    "service.notifier": "alerts alerts.cisa alerts.cisa-ics alerts.treasury receipts.aurora-labs receipts.basalt-ai "
    "alerts.watchdog-desk receipts.watchdog deliveries dead-letters state.notifier",
    "service.deliveries": "deliveries delivery-outcomes dead-letters state.deliveries",
    "service.acknowledgements": "acknowledgements reminders receipts.cisa receipts.cisa-ics receipts.treasury "
    "receipts.watchdog-desk dead-letters state.acknowledgements",
    "service.door": "releases.aurora-labs releases.basalt-ai acks.cisa acks.cisa-ics acks.treasury deliveries audit "
    "credentials replays",
    "service.watchdog": "releases.watchdog acks.watchdog-desk deliveries heartbeat",
    "service.audit": "audit",
    "service.operator": "releases.basalt-ai deliveries replays registry registry-versions credentials audit "
    "state.gateway state.announcements state.windows state.notifier state.deliveries state.acknowledgements",
}
SEES = {"service.door": "releases acks alerts reminders"}
"""Topics of which somebody sees how long they are, and nothing else: lag is told from that."""

SERVICES = ("gateway", "announcements", "windows", "notifier", "deliveries", "acknowledgements")
GROUPS = [
    *[f"herald.{service}" for service in (*SERVICES, "watchdog")],
    *["herald.cisa.desk", "herald.cisa-ics.desk", "herald.aurora-labs.ci", "herald.cisa", "cisa.desk", "desk"],
]
MAY_GROUP = {"cisa": {"herald.cisa.desk"}, "cisa-ics": {"herald.cisa-ics.desk"}} | {
    f"service.{service}": {f"herald.{service}"} for service in (*SERVICES, "watchdog")
}
TRANSACTIONS = [*[f"herald.{service}-0" for service in SERVICES], "herald.registry", "herald.cisa-0", "cisa.1"]
MAY_TRANSACT = {f"service.{service}": {f"herald.{service}-0"} for service in SERVICES} | {
    "service.operator": {"herald.registry"}
}


@dataclass(slots=True)
class Secured:
    """A secured Kafka with topics, a registry and users."""

    broker: Broker
    folder: Path
    bootstrap_servers: str
    passwords: dict[str, str] = field(default_factory=dict)

    def invoke(self, *arguments: str, user: str = "") -> Result:
        """Runs a command, as the broker's administrator unless told."""
        env = {"HERALD_DATA": str(self.folder), "HERALD_PARTITIONS": "2"} | (self.env(user) if user else {})
        return CliRunner().invoke(command_line(), arguments, env=env)

    def run(self, *arguments: str, user: str = "") -> list[dict[str, Any]]:
        """The same, which must go well; its output as objects."""
        done = self.invoke(*arguments, "--json", user=user)
        assert done.exit_code == 0, (done.output, done.exception)
        return [json.loads(line) for line in done.stdout.splitlines()]

    def new(self, owner: str, how: str = "issue") -> str:
        """A new user."""
        (said,) = self.run("credentials", how, owner)
        self.passwords[said["user"]] = said["password"]
        return str(said["user"])

    def env(self, user: str) -> dict[str, str]:
        """Its login for services and commands."""
        return {
            "HERALD_KAFKA__BOOTSTRAP_SERVERS": self.bootstrap_servers,
            "HERALD_KAFKA__SECURITY_PROTOCOL": "SASL_SSL",
            "HERALD_KAFKA__SSL_CAFILE": str(self.broker.cafile),
            "HERALD_KAFKA__SASL_USERNAME": user,
            "HERALD_KAFKA__SASL_PASSWORD": self.passwords[user],
        }

    def login(self, user: str) -> dict[str, Any]:
        """The same for confluent-kafka."""
        return reach.settings(self.bootstrap_servers, self.broker.cafile, user, self.passwords[user])

    def documented(self, page: str, program: str, folder: Path, **env: str) -> subprocess.CompletedProcess[str]:
        """Runs a page's one example of a program, with the files that its reader was given."""
        for owner in ("aurora-labs", "cisa"):
            (folder / f"{owner}.password").write_text(f"{self.passwords[f'{owner}.1']}\n")
        (folder / "ca.pem").write_bytes(self.broker.cafile.read_bytes())
        (folder / "release.yaml").write_text(RELEASE)
        (example,) = [one for one in documented.examples(page) if one.splitlines()[-1].startswith(f"{program} ")]
        return documented.run(example, folder, self.bootstrap_servers, **env)

    def deployment(self, user: str = "admin") -> Deployment:
        """Processes and clients; the clients log in as this user."""
        login = {
            "security_protocol": "SASL_SSL",
            "ssl_cafile": self.broker.cafile,
            "sasl_username": user,
            "sasl_password": self.passwords[user],
        }
        return Deployment(self.bootstrap_servers, "herald.", self.folder, partitions=2, login=login)

    def start(self, deployment: Deployment, *services: str) -> None:
        """Starts each as a user of its own."""
        for service in services:
            deployment.env = self.env(f"service.{service}.1")
            deployment.start(service)


@pytest.fixture(scope="module")
def secured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secured]:
    """The broker of this file; first users of everybody but treasury and basalt-ai."""
    folder = tmp_path_factory.mktemp("secured")
    broker = Broker(folder, secure=True)
    found = Secured(broker, folder, broker.start(print, owned=True).bootstrap_servers)
    try:
        found.passwords["admin"] = broker.admin_password_file.read_text().strip()
        (folder / "registry.yaml").write_text(REGISTRY)
        (folder / "release.yaml").write_text(RELEASE)
        found.run("registry", "apply", str(folder / "registry.yaml"), "--yes")
        for owner in READS:
            assert found.new(owner) == f"{owner}.1"
        yield found
    finally:
        broker.stop()


@pytest.fixture(scope="module")
def carried(secured: Secured, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """One release through all services, each as its own user, to an agency and back; then they have ended."""
    deployment = secured.deployment("cisa.1")
    try:
        secured.start(deployment, *SERVICES, "watchdog")
        deployment.env = secured.env("service.door.1") | {"HERALD_DATA": str(secured.folder / "door")}
        deployment.start("gateway.door")  # ready once it has read all that it projects
        asyncio.run(deployment.ready())
        (receipt,) = secured.run(
            "announce", str(secured.folder / "release.yaml"), "--lab", "aurora-labs", user="aurora-labs.1"
        )
        (alert,) = asyncio.run(deployment.settled("alerts.cisa", 1))
        beats = asyncio.run(deployment.settled("heartbeat", 2))
        arguments = ("ack", alert["id"], "--agency", "cisa", "--as", "received")
        (answer,) = secured.run(*arguments, user="cisa.1")
        again = secured.documented("for-labs.md", "herald announce", tmp_path_factory.mktemp("lab"))
        found = {"receipt": receipt, "alert": alert, "answer": answer, "again": again, "beats": beats}
    finally:
        deployment.stop()
    return found | {"logs": {process.name: process.log.read_text() for process in deployment.processes}}


def full(names: str) -> set[str]:
    return {f"herald.{name}" for name in names.split()}


def test_all_services_run_as_users_of_their_own_and_carry_a_release_to_an_agency_and_its_answer_back(
    carried: dict[str, Any],
) -> None:
    assert carried["receipt"]["type"] == "herald.receipt.accepted.v1"
    assert carried["alert"]["data"]["content"]["reference"] == "halo-4"
    assert carried["answer"]["type"] == "herald.receipt.accepted.v1"
    assert "last_success_at" in carried["beats"][-1]["data"]
    for name, log in carried["logs"].items():
        assert "AuthorizationFailed" not in log, (name, log)


@pytest.mark.parametrize("owner", READS)
def test_nothing_is_reachable_beyond_what_is_written_down(owner: str, secured: Secured) -> None:
    login, topics = secured.login(f"{owner}.1"), full(TOPICS)
    assert reach.readable(login, topics) == full(READS[owner])
    assert reach.writable(login, topics) == full(WRITES[owner])
    assert reach.usable_groups(login, GROUPS, min(full(READS[owner]))) == MAY_GROUP.get(owner, set())
    assert reach.usable_transactions(login, TRANSACTIONS) == MAY_TRANSACT.get(owner, set())
    assert reach.may_make_topics(login) == (owner == "service.operator")
    operators = owner == "service.operator"  # it provisions: it must see what is there
    assert reach.listed(login) - {"__consumer_offsets"} == (
        topics if operators else full(f"{READS[owner]} {WRITES[owner]} {SEES.get(owner, '')}")
    )


def test_the_audit_runs_as_a_user_of_its_own_and_finds_nothing(secured: Secured, carried: dict[str, Any]) -> None:
    done = secured.invoke("audit", "--grace", "0s", user="service.audit.1")
    assert done.exit_code == 0, done.output
    assert "audited: nothing differs" in done.stderr
    release_id = carried["alert"]["data"]["release_id"]
    assert '"hop": "answered"' in secured.invoke("trace", release_id, "--json", user="service.audit.1").stdout
    assert secured.invoke("audit", user="cisa.1").exit_code == 1


def test_the_door_sees_how_far_each_service_has_come_and_nobody_elses_groups(secured: Secured) -> None:
    found = groups(secured.deployment("service.door.1").connection)
    assert {group.service for group in found} == {*SERVICES}
    for user in ("cisa.1", "service.windows.1"):
        with pytest.raises(Unreadable, match="authorization"):
            groups(secured.deployment(user).connection)


def test_the_topics_written_down_here_are_all_that_there_are(secured: Secured) -> None:
    there = {topic for topic in reach.listed(secured.login("admin")) if not topic.startswith("__")}
    assert there == full(TOPICS)


@with_kcat
def test_with_kcat_an_agency_reads_its_alerts_and_neither_reads_nor_lists_anothers(
    secured: Secured, carried: dict[str, Any]
) -> None:
    def kcat(*arguments: str) -> subprocess.CompletedProcess[str]:
        properties = [word for name, value in secured.login("cisa.1").items() for word in ("-X", f"{name}={value}")]
        command = [str(shutil.which("kcat")), *properties, *arguments]
        return subprocess.run(command, capture_output=True, text=True, timeout=30, env=os.environ | KCAT, check=False)

    assert carried["alert"]["id"] in kcat("-C", "-e", "-t", "herald.alerts.cisa").stdout
    refused = kcat("-C", "-e", "-t", "herald.alerts.cisa-ics")
    assert refused.stdout == ""
    assert "Topic authorization failed" in refused.stderr
    topics = {topic["topic"] for topic in json.loads(kcat("-L", "-J").stdout)["topics"]}
    assert topics == full("alerts.cisa receipts.cisa acks.cisa heartbeat")


def test_the_docs_examples_for_a_kafka_that_asks_who_is_there_are_those_that_are_run_here() -> None:
    pages = {page: documented.examples(page) for page in ("for-labs.md", "for-agencies.md")}
    ran = {page: [one.splitlines()[-1].partition(" -")[0] for one in found] for page, found in pages.items()}
    assert ran == {"for-labs.md": ["herald announce release.yaml"], "for-agencies.md": ["herald alerts", "kcat"]}


def test_a_lab_announces_with_the_settings_of_its_page(carried: dict[str, Any]) -> None:
    done = carried["again"]
    assert (done.returncode, "aurora-labs/halo-4: unchanged" in done.stdout) == (0, True), done


@pytest.mark.parametrize(
    ("program", "shown", "env"),
    [("herald alerts", "alert {}", {}), pytest.param("kcat", '"id":"{}"', KCAT, marks=with_kcat)],
)
def test_an_agency_reads_its_alerts_with_the_settings_of_its_page(
    program: str, shown: str, env: dict[str, str], secured: Secured, carried: dict[str, Any], tmp_path: Path
) -> None:
    done = secured.documented("for-agencies.md", program, tmp_path, **env)
    assert (done.returncode, shown.format(carried["alert"]["id"]) in done.stdout) == (0, True), done


def test_who_does_not_say_who_it_is_gets_in_nowhere(secured: Secured, kafka: str) -> None:
    running = secured.broker.status()
    assert running is not None
    controller = f"127.0.0.1:{running.controller_port}"
    assert reach.answers_strangers(kafka)  # an open Kafka does
    for listener in (secured.bootstrap_servers, controller):
        assert not reach.answers_strangers(listener)
        assert not reach.answers_strangers(listener, secured.broker.cafile)
    agency = secured.login("cisa.1")
    assert not reach.is_refused(agency)
    assert reach.is_refused(agency | {"sasl.password": "wrong"})
    assert reach.is_refused(agency | {"bootstrap.servers": controller})
    assert reach.is_refused(agency | {"bootstrap.servers": controller, "sasl.mechanism": "PLAIN"})


def test_nobody_poses_as_this_kafka_and_nobody_speaks_with_it_in_the_clear(secured: Secured, tmp_path: Path) -> None:
    agency = secured.login("cisa.1")
    certificate(tmp_path, "kafka")
    strange = agency | {"ssl.ca.location": str(tmp_path / CA_FILE)}
    assert reach.soon(lambda: reach.refusal(strange) == KafkaError._SSL)  # a slow handshake may break off otherwise
    in_the_clear = reach.refusal(agency | {"security.protocol": "SASL_PLAINTEXT"})
    assert in_the_clear in {KafkaError._TRANSPORT, KafkaError._ALL_BROKERS_DOWN}
    other = {"HERALD_KAFKA__SSL_CAFILE": str(tmp_path / CA_FILE)}
    done = herald("alerts", "--agency", "cisa", **(secured.env("cisa.1") | other))
    assert done.returncode == 1
    assert "no authority in HERALD_KAFKA__SSL_CAFILE signed its certificate" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_after_a_rotation_both_passwords_work_until_the_old_one_is_revoked_and_no_number_comes_twice(
    secured: Secured,
) -> None:
    first = secured.new("basalt-ai")
    topic = full("releases.basalt-ai")
    second = secured.new("basalt-ai", "rotate")
    assert (first, second) == ("basalt-ai.1", "basalt-ai.2")
    assert reach.writable(secured.login(first), topic) == reach.writable(secured.login(second), topic) == topic
    with reach.connected(secured.login(first)) as listed:
        assert listed() == full("releases.basalt-ai receipts.basalt-ai")
        secured.run("credentials", "revoke", first)
        assert reach.soon(lambda: listed() == set())  # a connection that is open has no rights left
        assert reach.soon(lambda: reach.is_refused(secured.login(first)))
        assert reach.writable(secured.login(second), topic) == topic
        assert [one["user"] for one in secured.run("credentials", "revoke", "basalt-ai")] == [second]
        assert secured.new("basalt-ai") == "basalt-ai.3"
        assert listed() == set()


def test_who_ask_for_a_user_at_the_same_instant_get_one_each(secured: Secured) -> None:
    connection = secured.deployment().connection

    async def asked() -> list[str]:
        asking = [numbered(connection, "credential.issue", "quartz-ai", {"quartz-ai.4"}) for _ in range(3)]
        return await asyncio.gather(*asking)

    found = asyncio.run(asked())
    assert len(set(found)) == 3, found
    assert min(found) == "quartz-ai.5"


def test_provisioning_takes_away_what_is_too_much_of_its_own_users_only(secured: Secured) -> None:
    access = KafkaAccess(secured.deployment().connection)
    stray = Acl("cisa.1", "topic", "herald.alerts.cisa-ics", "literal", "read")
    elsewhere = Acl("cisa.1", "topic", "herald.alerts.cisa", "literal", "read", host="10.0.0.1")
    strangers = Acl("payroll.1", "topic", "herald.alerts.cisa-ics", "literal", "read")
    missing = Acl("cisa.1", "topic", "herald.alerts.cisa", "literal", "read")
    access.add([stray, elsewhere, strangers])
    access.remove([missing])
    expected = {("add", missing), ("remove", stray), ("remove", elsewhere)}

    def changed(*arguments: str) -> set[tuple[str, Acl]]:
        return {(one["change"], Acl(**one["acl"])) for one in secured.run("provision", *arguments)}

    def listed() -> set[Acl]:
        return access.acls() & {stray, elsewhere, strangers, missing}

    assert reach.soon(lambda: listed() == {stray, elsewhere, strangers})
    assert changed("--dry-run") == expected
    assert access.acls() >= {stray, elsewhere, strangers}
    assert changed() == expected
    assert reach.soon(lambda: listed() == {strangers, missing})
    assert changed() == set()
    access.remove([strangers])


def test_offboarding_tells_an_agency_so_and_then_cuts_it_off(secured: Secured, carried: dict[str, Any]) -> None:
    user = secured.new("treasury")
    deployment = secured.deployment()
    with reach.connected(secured.login(user)) as listed:
        assert listed() == full("alerts.treasury receipts.treasury acks.treasury heartbeat")
        try:
            secured.start(deployment, "notifier")
            (said,) = secured.run("offboard", "treasury", "--yes")
        finally:
            deployment.stop()
        assert reach.soon(lambda: listed() == set())
    assert said["revoked"] == [user]
    alerts = asyncio.run(deployment.events("alerts.treasury"))
    assert [alert["data"]["kind"] for alert in alerts][-1] == "no-longer-addressed"
    assert reach.soon(lambda: reach.is_refused(secured.login(user)))
    assert {acl.permission for acl in KafkaAccess(deployment.connection).acls() if acl.user == user} == {"deny"}
    assert secured.run("provision") == []
    assert secured.invoke("credentials", "issue", "treasury").exit_code != 0


def test_a_password_may_go_to_a_file_that_only_its_owner_reads_and_never_overwrites_one(secured: Secured) -> None:
    out = secured.folder / "new.password"
    (said,) = secured.run("credentials", "issue", "service.operator", "--out", str(out))
    assert "password" not in said
    assert out.stat().st_mode & 0o777 == 0o600
    secured.passwords[said["user"]] = out.read_text().strip()
    assert reach.listed(secured.login(said["user"])) >= full("windows")
    assert "never overwrites" in str(secured.invoke("credentials", "issue", "cisa", "--out", str(out)).exception)
    out.unlink()


def test_no_password_stands_in_a_log_or_a_topic(secured: Secured, carried: dict[str, Any]) -> None:
    secrets = [password.encode() for password in secured.passwords.values()]
    own = {"admin.password", "server.properties"}
    files = [path for path in secured.folder.rglob("*") if path.is_file() and path.name not in own]
    assert any(path.suffix == ".log" for path in files)
    for path in files:
        content = path.read_bytes()
        assert not any(secret in content for secret in secrets), path
    assert (secured.folder / "kafka").stat().st_mode & 0o777 == 0o700


def test_what_cannot_be_done_is_one_clear_line(secured: Secured, kafka: str, tmp_path: Path) -> None:
    wrong = secured.env("cisa.1") | {"HERALD_KAFKA__SASL_PASSWORD": "wrong"}
    as_agency = herald("credentials", "issue", "cisa", **secured.env("cisa.1"))
    assert as_agency.returncode == 1
    for done, code, words in (
        (
            herald("provision", HERALD_KAFKA__BOOTSTRAP_SERVERS=kafka, HERALD_KAFKA__TOPIC_PREFIX="open."),
            1,
            "authorizer",
        ),
        (herald("credentials", "revoke", "cisa.9", HERALD_DATA=str(secured.folder)), 2, "there is no user cisa.9"),
        (herald("credentials", "rotate", "treasury", HERALD_DATA=str(secured.folder)), 2, "has no credentials"),
        (herald("up", "--secure", HERALD_KAFKA__BOOTSTRAP_SERVERS=kafka), 2, "unset HERALD_KAFKA__BOOTSTRAP_SERVERS"),
        (as_agency, 1, "refuses"),
        (herald("alerts", "--agency", "cisa-ics", **secured.env("cisa.1")), 2, "not for this user"),
        (herald("windows", **wrong), 1, "does not take cisa.1 and the password"),
    ):
        assert done.returncode == code, done.stderr
        assert words in done.stderr
        assert len(done.stderr.splitlines()) == 1, done.stderr


def test_a_directory_stays_what_it_was_made_as(secured: Secured, own_broker: Broker) -> None:
    assert Broker(secured.folder).is_secure
    done = herald("kafka", "start", "--secure", "--data", str(own_broker.folder.parent))
    assert done.returncode == 1
    assert "was made without --secure" in done.stderr
