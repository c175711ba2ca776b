"""What `herald registry check` says of what references lead to; it shows no value, whatever it finds."""

import base64
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from schemas import registry_file
from schemas.yaml_file import FileError
from services.cli.main import command_line
from services.cli.registry_secrets import MAKE_ONE, MAX_BYTES, faults
from services.embedded.authority import certificate
from tests.unit.test_endpoint_check import CHAT, DESK, MAIL, RELAY, WEBHOOK, written

GOOD = "whsec_" + base64.b64encode(bytes(range(32))).decode()


def found(endpoint: dict[str, Any], **more: Any) -> list[tuple[str, str]]:
    return list(faults(registry_file.load(written(endpoint, **more))))


def secret(folder: Path, text: str, name: str = "secret") -> str:
    (folder / name).write_text(text)
    return f"file:{folder / name}"


def test_a_good_secret_is_taken_from_a_file_or_a_variable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NEXT", "whsec_" + base64.b64encode(bytes(24)).decode())
    monkeypatch.setenv("CHAT", "https://hooks.chat.example/x")
    assert found(WEBHOOK | {"secrets": [secret(tmp_path, GOOD + "\n"), "env:NEXT"]}) == []
    assert found(CHAT | {"token": secret(tmp_path, "t")}) == []
    assert found(MAIL, mail=RELAY | {"username": "h", "password": secret(tmp_path, "pässword")}) == []


@pytest.mark.parametrize(
    "bad",
    [
        base64.b64encode(bytes(32)).decode(),
        "whsec_" + base64.b64encode(bytes(23)).decode(),
        "whsec_" + base64.b64encode(bytes(65)).decode(),
        "whsec_not base64 at all, and long enough",
        GOOD + "!",
    ],
)
def test_a_signing_secret_is_whsec_and_24_to_64_bytes_and_a_command_that_makes_one_is_shown(
    bad: str, tmp_path: Path
) -> None:
    rule = f"must stand for whsec_ and the base64 of 24 to 64 random bytes; {MAKE_ONE}"
    assert found(WEBHOOK | {"secrets": [secret(tmp_path, bad)]}) == [(f"{DESK}.secrets.0", rule)]


@pytest.mark.skipif(shutil.which("openssl") is None, reason="no openssl here")
def test_the_command_that_is_shown_makes_a_secret_that_its_owner_alone_reads(tmp_path: Path) -> None:
    command = MAKE_ONE.removeprefix("make one: ").replace("FILE", str(tmp_path / "made"))
    subprocess.run(["/bin/sh", "-c", command], check=True)
    assert found(WEBHOOK | {"secrets": [f"file:{tmp_path / 'made'}"]}) == []
    assert (tmp_path / "made").stat().st_mode & 0o777 == 0o600


def test_a_reference_that_leads_to_nothing_is_an_unknown_secret(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("HERALD_NOWHERE", raising=False)
    monkeypatch.setenv("HERALD_EMPTY", " ")
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    for reference, said in (
        (f"file:{tmp_path}/none", "cannot be read: No such file or directory"),
        (f"file:{tmp_path}", "is no file"),
        (f"file:{tmp_path}/pipe", "is no file"),
        (f"file:{tmp_path}/binary", "is no text in UTF-8"),
        (secret(tmp_path, "\n"), "is empty"),
        (secret(tmp_path, "x" * (MAX_BYTES + 1), "big"), f"holds more than {MAX_BYTES} bytes"),
        ("env:HERALD_NOWHERE", "HERALD_NOWHERE is not set in this environment, or empty"),
        ("env:HERALD_EMPTY", "HERALD_EMPTY is not set in this environment, or empty"),
    ):
        for endpoint, field in ((WEBHOOK | {"secrets": [reference]}, "secrets.0"), (CHAT | {"url": reference}, "url")):
            ((where, what),) = found(endpoint)
            assert where == f"{DESK}.{field}"
            assert what.startswith("unknown secret: ")
            assert said in what


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_secret_that_may_not_be_read_is_unknown(tmp_path: Path) -> None:
    reference = secret(tmp_path, GOOD)
    (tmp_path / "secret").chmod(0)
    ((_, what),) = found(WEBHOOK | {"secrets": [reference]})
    assert "cannot be read: Permission denied" in what


def test_one_secret_behind_two_references_is_refused(tmp_path: Path) -> None:
    two = [secret(tmp_path, GOOD, "one"), secret(tmp_path, GOOD, "two")]
    ((where, what),) = found(WEBHOOK | {"secrets": two})
    assert where == f"{DESK}.secrets.1"
    assert what.startswith(f"stands for the same as {DESK}.secrets.0")


def test_a_chats_address_is_held_to_the_same_rules_and_not_shown(tmp_path: Path) -> None:
    for address, said in (
        ("https://127.0.0.1/T0/hidden", "stands for what is no public address"),
        ("http://hooks.chat.example/T0/hidden", "stands for what is plain http"),
        ("not/an/address/hidden", "stands for what is no web address"),
        ("https://user:hidden@hooks.chat.example/", "stands for what has a user in it"),
    ):
        ((where, what),) = found(CHAT | {"url": secret(tmp_path, address)})
        assert where == f"{DESK}.url"
        assert what.startswith(said)
        assert "hidden" not in what
    assert found(CHAT | {"url": secret(tmp_path, "http://127.0.0.1/x")}, allow_networks=["127.0.0.0/8"]) == []


def test_certificates_are_looked_at(tmp_path: Path) -> None:
    both = str(certificate(tmp_path, "door"))
    good = secret(tmp_path, GOOD)

    def shown(certificate: str, key: str) -> list[tuple[str, str]]:
        return found(WEBHOOK | {"secrets": [good], "client_certificate": {"certificate": certificate, "key": key}})

    assert shown(both, both) == []
    ((where, what),) = shown(both, str(tmp_path / "secret"))
    assert (where, what[:35]) == (f"{DESK}.client_certificate", "must be a certificate and the key o")
    assert "cannot be read" in shown(both, "/nowhere")[0][1]
    relay = RELAY | {"username": "h", "password": f"file:{tmp_path}/none"}
    assert [field for field, _ in found(MAIL, mail=relay | {"cafile": both})] == ["mail.password"]
    assert found(MAIL, mail=RELAY | {"cafile": str(tmp_path / "secret")}) == [
        ("mail.cafile", f"{tmp_path / 'secret'} holds no certificates in PEM")
    ]


def test_check_looks_at_secrets_unless_told_not_to_and_shows_no_value(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "registry.yaml"
    reference = secret(tmp_path, "hidden")
    file.write_text(
        "agencies:\n  cisa:\n    name: CISA\n    endpoints:\n      desk:\n"
        "        channel: webhook\n        tier: watch\n        url: https://desk.cisa.example/h\n"
        f"        secrets: [{reference}]\n"
    )
    refused = CliRunner().invoke(command_line(), ["registry", "check", str(file)])
    assert isinstance(refused.exception, FileError)
    assert "agencies.cisa.endpoints.desk.secrets.0: must stand for whsec_" in str(refused.exception)
    assert str(refused.exception).endswith("(line 9)")
    assert "--no-secrets" in refused.output
    assert "hidden" not in refused.output + str(refused.exception)
    taken = CliRunner().invoke(command_line(), ["registry", "check", str(file), "--no-secrets"])
    assert taken.exit_code == 0
    assert taken.output == f"{file} is sound: 0 labs, 1 agencies, 1 endpoints\n"
    (tmp_path / "secret").write_text(GOOD)
    assert CliRunner().invoke(command_line(), ["registry", "check", str(file)]).exit_code == 0
