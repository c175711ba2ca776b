"""A lab's CI: the steps that stand in the files, and every example of docs/ci.md, run against a real door or none."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
import yaml

from schemas import registry_file
from schemas.publisher import GITHUB, GITLAB
from schemas.registry import Registry
from services.embedded.ports import free
from tests.broker.ci_files import ACTION, DOOR, GITHUB_SHELL, GITLAB_JOB, ROOT, VERSION, environment, example, run, step
from tests.broker.deployment import Deployment
from tests.broker.flow import release
from tests.broker.issuer import Issuer, issuing
from tests.scale import long_run

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(180)]


@dataclass(slots=True)
class Site:
    """A door under the registry of the docs; the issuers that stand for GitHub and GitLab in it; a job's folder."""

    address: str
    github: Issuer
    gitlab: Issuer
    deployment: Deployment

    async def said(self) -> list[dict[str, Any]]:
        """What the lab has announced, as Kafka has it."""
        return [one["data"] for one in await self.deployment.events("releases.aurora-labs")]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def site(kafka: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Site]:
    """One deployment for the tests of this file."""
    folder, port = tmp_path_factory.mktemp("site"), free()
    env = {"HERALD_DOOR__PORT": str(port), "HERALD_DATA": str(folder / "data")}
    deployment = Deployment(kafka, "ci.", folder, partitions=1, env=env)
    with issuing(2) as (github, gitlab):
        github.run = {"repository": "aurora-labs/halo", "environment": "release", "ref": "refs/tags/v4", "actor": "x"}
        gitlab.run = {"project_path": "aurora-labs/halo", "ref_protected": "true", "ref_type": "tag", "ref": "v4"}
        text = example("# registry.yaml").replace(GITHUB, github.address).replace(GITLAB, gitlab.address)
        try:
            await deployment.prepare(Registry(**dict(registry_file.load(text)), version=1))
            deployment.start("gateway", "announcements", "gateway.door")
            await deployment.ready()
            yield Site(f"http://127.0.0.1:{port}", github, gitlab, deployment)
        finally:
            deployment.stop()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A job's folder, with a release and what was built in it."""
    (tmp_path / "release.yaml").write_text(yaml.safe_dump(release("halo-4")))
    (tmp_path / "weights.bin").write_bytes(b"weights")
    return tmp_path


async def test_the_github_workflow_of_the_docs_announces_with_no_secret(site: Site, folder: Path) -> None:
    workflow = yaml.safe_load(example("# .github"))
    (job,) = workflow["jobs"].values()
    assert workflow["permissions"]["id-token"] == "write"  # without which GitHub gives a run no identity
    assert job["environment"] == site.github.run["environment"]
    *_, announcing = job["steps"]
    assert announcing["uses"] == f"OWNER/herald/deploy/ci@v{VERSION}"
    needed = {name for name, about in ACTION["inputs"].items() if about.get("required")}
    assert needed <= announcing["with"].keys()
    assert len(example("# .github").splitlines()) <= 11, "ten lines, and the file's name"
    told = environment({name: value.replace(DOOR, site.address) for name, value in announcing["with"].items()})
    done = await run(step()[0], GITHUB_SHELL, folder, **told, **site.github.runner)
    assert (done.returncode, done.stdout.splitlines()[0]) == (0, "aurora-labs/halo-4: accepted (revision 1)"), done
    again = await run(step()[0], GITHUB_SHELL, folder, **told, **site.github.runner)
    assert (again.returncode, "unchanged" in again.stdout) == (0, True), again


async def test_the_gitlab_job_of_the_docs_announces_with_no_secret_what_was_built(site: Site, folder: Path) -> None:
    pipeline = yaml.safe_load(example("# .gitlab-ci.yml"))
    include, job = pipeline["include"], pipeline["herald"]
    assert (ROOT / include["file"], include["ref"]) == (ROOT / "deploy" / "ci" / "gitlab.yml", f"v{VERSION}")
    assert job["extends"] == ".herald-announce"
    told = {n: str(v).replace(DOOR, site.address) for n, v in (GITLAB_JOB["variables"] | job["variables"]).items()}
    told["HERALD_ARTIFACT"] = "weights.bin"
    (script,) = GITLAB_JOB["script"]
    for shell in (["bash", "-eo", "pipefail"], ["sh", "-e"]):
        identity = site.gitlab.token(aud=GITLAB_JOB["id_tokens"]["HERALD_ID_TOKEN"]["aud"])
        done = await run(script, shell, folder, **told, HERALD_ID_TOKEN=identity)
        assert (done.returncode, "aurora-labs/halo-4: " in done.stdout) == (0, True), done
        assert "goes on" not in done.stdout
    assert (await site.said())[-1]["model"]["artifact_digest"] == f"sha256:{sha256(b'weights').hexdigest()}"


async def test_the_commands_of_the_docs_say_several_things_with_one_identity(site: Site, folder: Path) -> None:
    script = example("export HERALD_API").replace(DOOR, site.address)
    done = await run(script, GITHUB_SHELL, folder, HERALD_ID_TOKEN=site.gitlab.token())
    announced, *_, withdrawn = [line for line in done.stdout.splitlines() if line.startswith("aurora-labs/halo-4")]
    assert (done.returncode, withdrawn.split()[1]) == (0, "accepted"), done
    assert announced.split()[1] in {"accepted", "unchanged"}


async def test_an_identity_is_exchanged_once_and_a_second_time_is_refused_in_one_clear_line(
    site: Site, folder: Path
) -> None:
    token = folder / "identity"
    token.write_text(site.gitlab.token() + "\n")
    told = {"HERALD_API": site.address, "HERALD_LAB": "aurora-labs", "HERALD_ID_TOKEN_FILE": str(token)}
    first = await run("herald tokens exchange --json", GITHUB_SHELL, folder, **told)
    assert (first.returncode, json.loads(first.stdout)["lab"]) == (0, "aurora-labs"), first
    again = await run("herald tokens exchange", GITHUB_SHELL, folder, **told)
    assert (again.returncode, again.stdout, "replayed" in again.stderr) == (3, "", True), again
    announced = await run("herald announce release.yaml", GITHUB_SHELL, folder, **told)
    assert (announced.returncode, "refused, replayed" in announced.stdout) == (3, True), announced
    nobody = await run("herald announce release.yaml", GITHUB_SHELL, folder, **told | {"HERALD_ID_TOKEN_FILE": ""})
    assert (nobody.returncode, "id-token: write" in nobody.stderr) == (2, True), nobody


async def test_a_digest_that_is_not_that_of_what_was_built_is_not_announced(site: Site, folder: Path) -> None:
    stated = release("halo-5", model={"name": "Halo", "artifact_digest": f"sha512:{'0' * 128}"})
    (folder / "release.yaml").write_text(yaml.safe_dump(stated))
    done = await run(
        "herald announce release.yaml --artifact weights.bin --lab aurora-labs", GITHUB_SHELL, folder,
        HERALD_API=site.address, HERALD_TOKEN="unused",
    )  # fmt: skip
    assert (done.returncode, "model.artifact_digest" in done.stderr) == (2, True), done
    assert "halo-5" not in {one["reference"] for one in await site.said()}


@dataclass(slots=True)
class Trouble:
    """What may befall a step: how it is told, and how `herald announce` would end."""

    env: dict[str, str]
    code: int


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def troubles(site: Site) -> AsyncIterator[dict[str, Trouble]]:
    """Herald down, slow, talking nonsense, refusing; GitHub giving no identity; a file that is none."""

    async def nonsense(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\nConnection: close\r\n\r\n<html>")
        await writer.drain()
        writer.close()

    hangs = await asyncio.start_server(lambda *_: asyncio.sleep(3600), "127.0.0.1", 0)
    talks = await asyncio.start_server(nonsense, "127.0.0.1", 0)
    slow, odd = (f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}" for server in (hangs, talks))
    outsider = {**site.github.runner, "ACTIONS_ID_TOKEN_REQUEST_TOKEN": "another"}
    wrong_lab = {"HERALD_LAB": "basalt-ai"}
    with issuing() as [elsewhere]:
        yield {
            "down": Trouble({"HERALD_API": f"http://127.0.0.1:{free()}"}, 4),
            "slow": Trouble({"HERALD_API": slow, "HERALD_TIMEOUT": "2"}, 4),
            "nonsense": Trouble({"HERALD_API": odd}, 4),
            "in the clear": Trouble({"HERALD_API": "http://herald.example"}, 2),
            "refusing": Trouble(wrong_lab, 3),
            "another issuer": Trouble(elsewhere.runner, 3),
            "no identity": Trouble(outsider, 4),
            "no file": Trouble({"HERALD_FILE": "gone.yaml"}, 2),
            "a timeout that is none": Trouble({"HERALD_TIMEOUT": "2s"}, 2),
        }
    hangs.close()
    talks.close()


WHAT = [
    "down", "slow", "nonsense", "in the clear", "refusing", "another issuer", "no identity", "no file",
    "a timeout that is none",
]  # fmt: skip


@pytest.mark.parametrize("what", WHAT)
async def test_whatever_befalls_herald_the_github_step_ends_well_with_a_warning_unless_it_is_strict(
    site: Site, troubles: dict[str, Trouble], folder: Path, what: str
) -> None:
    script, defaults = step()
    trouble = troubles[what]
    told = defaults | {"HERALD_API": site.address, "HERALD_LAB": "aurora-labs"} | site.github.runner | trouble.env
    done = await run(script, GITHUB_SHELL, folder, **told)
    assert done.returncode == 0, done
    (warning,) = [line for line in done.stdout.splitlines() if line.startswith("::warning title=Herald::")]
    assert f"exit code {trouble.code})" in warning, done
    assert "Traceback" not in done.stderr
    if what in {"down", "refusing"}:
        strict = await run(script, GITHUB_SHELL, folder, **told | {"HERALD_STRICT": "true"})
        assert strict.returncode == trouble.code, strict


@pytest.mark.parametrize("what", ["down", "slow", "refusing"])
async def test_whatever_befalls_herald_the_gitlab_job_ends_well_unless_it_is_strict(
    site: Site, troubles: dict[str, Trouble], folder: Path, what: str
) -> None:
    (script,) = GITLAB_JOB["script"]
    trouble = troubles[what]
    told = GITLAB_JOB["variables"] | {"HERALD_API": site.address, "HERALD_LAB": "aurora-labs"} | trouble.env
    forgiving = await run(script, ["sh", "-e"], folder, **told, HERALD_ID_TOKEN=site.gitlab.token())
    assert (forgiving.returncode, "goes on" in forgiving.stdout) == (0, True), forgiving
    if what == "refusing":
        told |= {"HERALD_STRICT": "true", "HERALD_ID_TOKEN": site.gitlab.token()}
        strict = await run(script, ["bash", "-eo", "pipefail"], folder, **told)
        assert strict.returncode == trouble.code, strict


@long_run
async def test_a_command_that_cannot_be_installed_or_hangs_holds_nothing_up(folder: Path) -> None:
    script, defaults = step()
    tools = folder / "bin"
    tools.mkdir()
    (tools / "python3").symlink_to(Path(sys.executable).resolve())
    nowhere = {"PATH": f"{tools}:/usr/bin:/bin", "PIP_INDEX_URL": "http://127.0.0.1:1", "PIP_RETRIES": "0"}
    done = await run(script, GITHUB_SHELL, folder, **defaults, **nowhere)
    assert (done.returncode, "::warning title=Herald::" in done.stdout) == (0, True), done
    hanging = tools / "herald"
    hanging.write_text("#!/bin/sh\ntrap '' TERM\nwhile :; do sleep 1; done\n")
    hanging.chmod(0o755)
    bounded = script.replace("--kill-after 5 120", "--kill-after 1 1")
    assert bounded != script
    stuck = await run(bounded, GITHUB_SHELL, folder, **defaults, **nowhere)
    assert (stuck.returncode, "exit code 137)" in stuck.stdout) == (0, True), stuck


async def test_both_snippets_run_the_same_script_and_none_is_filled_in_by_the_runner() -> None:
    (gitlab,) = GITLAB_JOB["script"]
    github = step()[0]
    assert gitlab.splitlines()[:-2] == [
        line.replace('"$GITHUB_ACTION_PATH/../.."', f"herald-early-access=={VERSION}")
        for line in github.splitlines()[:-2]
    ]
    assert gitlab.splitlines()[-1] == github.splitlines()[-1]
    assert "${{" not in github  # an input would be read as a program
    assert GITLAB_JOB["allow_failure"] is True
    assert set(environment({})) - {"HERALD_API", "HERALD_LAB", "HERALD_AUDIENCE"} == set(GITLAB_JOB["variables"])
