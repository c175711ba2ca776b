"""TLS and SASL settings pass through to every client."""

from pathlib import Path

import pytest
from faststream.security import SASLScram512
from pydantic import SecretStr

from services.kernel.connection import Connection
from services.kernel.settings import KafkaSettings, SettingsError


def test_sasl_settings_reach_the_clients_and_the_password_may_come_from_a_file(tmp_path: Path) -> None:
    (tmp_path / "password").write_text("correct-horse\n")
    settings = KafkaSettings(
        bootstrap_servers="kafka:9093",
        security_protocol="SASL_PLAINTEXT",
        sasl_username="windows",
        sasl_password=SecretStr("not this one"),
        sasl_password_file=tmp_path / "password",
    )
    security = Connection(settings).security()
    assert isinstance(security, SASLScram512)
    assert (security.username, security.password, security.use_ssl) == ("windows", "correct-horse", False)


def test_tls_verifies_the_broker() -> None:
    security = Connection(KafkaSettings(bootstrap_servers="kafka:9093", security_protocol="SSL")).security()
    assert security is not None
    assert security.use_ssl
    assert security.ssl_context is not None
    assert security.ssl_context.check_hostname


@pytest.mark.parametrize("name", ["ssl_cafile", "ssl_certfile"])
def test_a_certificate_that_cannot_be_read_is_one_line(name: str, tmp_path: Path) -> None:
    settings = KafkaSettings(bootstrap_servers="kafka:9093", security_protocol="SSL").model_copy(
        update={name: tmp_path / "missing.pem"}
    )
    with pytest.raises(SettingsError, match=r"missing\.pem"):
        Connection(settings).security()


def test_a_password_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    settings = KafkaSettings(
        bootstrap_servers="kafka:9093", security_protocol="SASL_SSL", sasl_password_file=tmp_path / "missing"
    )
    with pytest.raises(SettingsError, match="HERALD_KAFKA__SASL_PASSWORD_FILE"):
        Connection(settings).security()


def test_without_a_kafka_it_says_how_to_get_one() -> None:
    with pytest.raises(SettingsError, match="herald up"):
        Connection(KafkaSettings())
