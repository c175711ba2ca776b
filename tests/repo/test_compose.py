"""docker-compose.yml agrees with the code: services, settings, ports, images, Kafka's settings, and what it mounts."""

import importlib.util
import os
import re
import shutil
import stat
import subprocess
import tomllib
from ipaddress import IPv4Network
from pathlib import Path

import pytest
import yaml

from schemas.topics import SERVICES
from services.cli.run import ServiceName
from services.embedded.broker import _PROPERTIES, START_BYTES
from services.embedded.distribution import KAFKA_VERSION
from services.kernel.link_key import link_key
from services.kernel.settings import DoorSettings, Settings, load
from tests.repo import compose, dockerfile
from tests.repo.compose import ALL, FILE, OURS
from tests.repo.dockerfile import ROOT
from tests.repo.test_docs import settings

WATCHED = (*SERVICES, "door", "watchdog")
DOCKER_COMPOSE = shutil.which("docker-compose")
NOT_READ_ONLY = {"kafka"}  # its image writes its configuration beside its program at each start


def loaded(service: str) -> Settings:
    """The settings that a service of ours comes to."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in compose.environment(service).items():
            patch.setenv(name, value)
        return load()


@pytest.mark.skipif(DOCKER_COMPOSE is None, reason="no docker-compose here")
def test_docker_compose_takes_it_and_has_nothing_to_say() -> None:
    command = [str(DOCKER_COMPOSE), "--file", str(ROOT / "docker-compose.yml"), "config", "--quiet"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


def test_every_service_and_the_door_are_started_and_each_command_is_one() -> None:
    assert {name for name, each in ALL.items() if each["image"] == compose.IMAGE} == set(OURS)
    for name in (*SERVICES, "watchdog"):
        assert ALL[name]["command"] == ["run", ServiceName(name).value]
    *_, module = ALL["door"]["entrypoint"]
    assert importlib.util.find_spec(f"{module}.__main__") is not None


@pytest.mark.parametrize("name", OURS)
def test_settings_exist_and_can_be_loaded(name: str) -> None:
    said = set(compose.environment(name))
    assert said <= settings()
    found = loaded(name)
    assert found.kafka.bootstrap_servers == "kafka:9092"
    assert found.partitions == Settings.model_fields["partitions"].default
    assert (found.http_host, found.http_port) == ("0.0.0.0", 8081)  # noqa: S104


def test_no_variable_that_people_may_set_reads_as_one_of_heralds_settings() -> None:
    asked = set(re.findall(r"\$\{(HERALD_[A-Z_]+)", (ROOT / "docker-compose.yml").read_text()))
    assert asked
    assert not asked & settings()


def test_the_door_and_deliveries_agree_on_links_and_the_door_is_published_where_it_listens() -> None:
    door, deliveries = loaded("door").door, loaded("deliveries").door
    assert (door.address, door.link_key_file) == (deliveries.address, deliveries.link_key_file)
    assert ALL["door"]["ports"] == [f"127.0.0.1:{door.port}:{door.port}"]
    assert door.behind_proxy
    (network,) = FILE["networks"]["outside"]["ipam"]["config"]
    gateway = next(IPv4Network(network["subnet"]).hosts())
    assert ALL["door"]["environment"]["FORWARDED_ALLOW_IPS"] == str(gateway)


def test_images_are_of_exact_versions_and_as_the_code_has_them() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert f"herald:{version}" == compose.IMAGE
    assert ALL["provision"]["build"]["dockerfile"] == str(dockerfile.FILE.relative_to(ROOT))
    assert ALL["kafka"]["image"] == f"apache/kafka:{KAFKA_VERSION}"
    for name, each in ALL.items():
        tag = each["image"].partition(":")[2]
        assert re.fullmatch(r"v?\d+\.\d+(\.\d+)?(-[a-z]+)?(@sha256:[0-9a-f]{64})?", tag), name


def test_kafka_is_set_as_the_embedded_one_is() -> None:
    said = {k.removeprefix("KAFKA_").lower().replace("_", "."): v for k, v in ALL["kafka"]["environment"].items()}
    embedded = dict(line.split("=", 1) for line in _PROPERTIES.splitlines())
    own = {"listeners", "advertised.listeners", "controller.quorum.bootstrap.servers", "log.dirs"}
    tuned = {name for name in embedded if name.startswith(("num.", "log.cleaner."))}
    assert {name: said.get(name) for name in embedded if name not in own | tuned} == {
        name: value for name, value in embedded.items() if name not in own | tuned
    }
    listeners = dict(each.split("://") for each in said["advertised.listeners"].split(","))
    assert listeners["CLIENTS"] == loaded("windows").kafka.bootstrap_servers
    assert ALL["kafka"]["ports"] == [f"{listeners['HERE']}:{listeners['HERE'].rpartition(':')[2]}"]


def test_ports_are_open_to_this_machine_alone() -> None:
    published = [port for each in ALL.values() for port in each.get("ports", ())]
    assert len(published) == 6
    assert all(re.fullmatch(r"127\.0\.0\.1:(\d+):\1", port) for port in published)


def test_every_container_is_confined() -> None:
    for name, each in ALL.items():
        assert each["cap_drop"] == ["ALL"], name
        assert each["security_opt"] == ["no-new-privileges:true"], name
        assert each.get("read_only", False) == (name not in NOT_READ_ONLY), name
        assert "privileged" not in each, name
        assert each["logging"]["options"]["max-size"], name


def test_only_what_must_reach_out_can() -> None:
    assert FILE["networks"]["inside"]["internal"]
    outside = {name for name in OURS if "outside" in ALL[name]["networks"]}
    assert outside == {"deliveries", "door"}
    assert ALL["postgres"]["networks"] == ["inside"]


def test_things_start_in_order_and_what_is_waited_for_can_be() -> None:
    for name, each in ALL.items():
        for other, how in each.get("depends_on", {}).items():
            waited = ALL[other]
            if how["condition"] == "service_completed_successfully":
                assert waited["restart"] == "no", name
            else:
                assert how["condition"] == "service_healthy"
                assert waited["image"] == compose.IMAGE or "test" in waited["healthcheck"], name
            assert waited.get("profiles", []) in ([], each.get("profiles")), name
    for name in WATCHED:
        assert {"kafka", "provision"} <= set(ALL[name]["depends_on"])
        assert "healthcheck" not in ALL[name], "the image's own counts"
    assert "postgres" in ALL["door"]["depends_on"]
    assert [name for name, each in ALL.items() if "profiles" in each] == [
        "alertmanager",
        "prometheus",
        "grafana",
        "mail",
    ]


def test_what_is_mounted_exists_or_is_kept() -> None:
    for name, each in ALL.items():
        for volume in each.get("volumes", ()):
            source, target, *how = compose.filled(volume).split(":")
            if not source.startswith("./"):
                assert source in FILE["volumes"], name
            else:
                assert how == ["ro"], f"{name}: {target}"
                assert not Path(source).suffix or (ROOT / source).exists(), name


def test_secrets_are_files_that_the_script_makes_once(tmp_path: Path) -> None:
    script = [str(ROOT / "deploy" / "secrets.sh"), str(tmp_path / "made")]
    subprocess.run(script, check=True, capture_output=True)
    files = {path.name: path for path in (tmp_path / "made").iterdir() if path.is_file()}
    first = {name: path.read_text() for name, path in files.items()}
    subprocess.run(script, check=True, capture_output=True)
    assert {name: path.read_text() for name, path in files.items()} == first
    assert {Path(each["file"]).name for each in FILE["secrets"].values()} == set(files)
    assert all(Path(each["file"]).parent == Path(".secrets") for each in FILE["secrets"].values())
    assert ".secrets/" in (ROOT / ".gitignore").read_text().splitlines()
    assert stat.S_IMODE((tmp_path / "made").stat().st_mode) == 0o700
    assert all(stat.S_IMODE(path.stat().st_mode) == 0o444 for path in files.values())
    said = ALL["postgres"]["environment"]
    url = f"postgresql://{said['POSTGRES_USER']}:{first['postgres.password']}@postgres/{said['POSTGRES_DB']}"
    assert first["database.url"] == url
    assert link_key(Settings(door=DoorSettings(link_key_file=files["link.key"])))
    for name, each in ALL.items():
        used = [str(value) for value in each.get("environment", {}).values() if "/run/secrets/" in str(value)]
        assert {Path(value).name for value in used} == set(each.get("secrets", ())), name


def test_prometheus_watches_every_service_at_its_port() -> None:
    watching = yaml.safe_load((ROOT / "deploy" / "prometheus" / "compose.yml").read_text())
    jobs = {each["job_name"]: each for each in watching["scrape_configs"]}
    (herald,) = jobs["herald"]["static_configs"]
    assert herald["targets"] == [f"{name}:{loaded(name).http_port}" for name in WATCHED]
    (config,) = [each for each in ALL["prometheus"]["command"] if each.startswith("--config.file=")]
    assert config.endswith("/prometheus/compose.yml")


@pytest.mark.parametrize(("free", "waits"), [([100, 65_535, 65_536], 2), ([1_000_000], 0)])
def test_kafka_waits_for_room_on_its_disk_and_is_started_then(free: list[int], waits: int, tmp_path: Path) -> None:
    """`df` says one figure after the other, `sleep` takes no time, and the image's program says that it runs."""
    shell, flag, script = ALL["kafka"]["command"]
    assert f"-ge {START_BYTES >> 10} ]" in script  # as where Herald starts one itself
    (tmp_path / "figures").write_text("".join(f"{kibibytes}\n" for kibibytes in free))
    for name, body in {
        "df": 'echo Filesystem; echo "/dev/x 1 1 $(head -n1 figures) 1% /"; sed -i 1d figures',
        "sleep": "",
        "run": "echo runs",
    }.items():
        (tmp_path / name).write_text(f"#!/bin/sh\n{body}\n")
        (tmp_path / name).chmod(0o755)
    script = script.replace("$$", "$").replace("/etc/kafka/docker/run", str(tmp_path / "run"))
    path = f"{tmp_path}:{os.environ['PATH']}"
    done = subprocess.run(
        [shell, flag, script], cwd=tmp_path, env={"PATH": path}, capture_output=True, text=True, timeout=30, check=True
    )
    assert done.stdout == "runs\n"
    assert len(done.stderr.splitlines()) == waits
