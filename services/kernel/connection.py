"""How to reach Kafka: the arguments that aiokafka's clients and FastStream's broker take, and topic names."""

import ssl
from functools import cache
from typing import TYPE_CHECKING, Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient

from services.kernel.producer import TransactionalProducer
from services.kernel.settings import KafkaSettings, SettingsError, kept_in

if TYPE_CHECKING:
    from faststream.security import BaseSecurity

REQUEST_TIMEOUT_MS = 10_000
_WRITES = {"enable_idempotence": True, "acks": "all", "max_request_size": 16 * 1024 * 1024}
"""Of each producer: it waits for all replicas. Event size is bounded by the topics, not here."""


@cache
def _ssl_context(cafile: str | None, certfile: str | None, keyfile: str | None) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=cafile)
    if certfile:
        context.load_cert_chain(certfile, keyfile)
    return context


class Connection:
    """One Kafka, as the settings name it. Raises SettingsError where they cannot work."""

    def __init__(self, settings: KafkaSettings) -> None:
        if not settings.bootstrap_servers:
            raise SettingsError("HERALD_KAFKA__BOOTSTRAP_SERVERS: no Kafka is named; `herald up` starts one")
        self.settings = settings

    def topic(self, name: str) -> str:
        """The name in Kafka of a topic of the contract."""
        return self.settings.topic_prefix + name

    def logical(self, topic: str) -> str:
        """The contract's name of a topic in Kafka."""
        return topic.removeprefix(self.settings.topic_prefix)

    def _password(self) -> str:
        path = self.settings.sasl_password_file
        if path is None:
            return self.settings.sasl_password.get_secret_value()
        return kept_in(path, "HERALD_KAFKA__SASL_PASSWORD_FILE")

    def _tls(self) -> ssl.SSLContext | None:
        settings = self.settings
        if "SSL" not in settings.security_protocol:
            return None
        files = [str(f) if f else None for f in (settings.ssl_cafile, settings.ssl_certfile, settings.ssl_keyfile)]
        try:
            return _ssl_context(*files)
        except OSError as error:
            raise SettingsError(f"HERALD_KAFKA__SSL_…FILE: cannot use {files}: {error}") from None

    def _arguments(self) -> dict[str, Any]:
        settings = self.settings
        arguments: dict[str, Any] = {
            "bootstrap_servers": settings.bootstrap_servers.split(","),
            "request_timeout_ms": REQUEST_TIMEOUT_MS,
            "security_protocol": settings.security_protocol,
            "ssl_context": self._tls(),
        }
        if "SASL" in settings.security_protocol:
            arguments |= {
                "sasl_mechanism": settings.sasl_mechanism,
                "sasl_plain_username": settings.sasl_username,
                "sasl_plain_password": self._password(),
            }
        return arguments

    def security(self) -> "BaseSecurity | None":
        """The same for FastStream."""
        # Imported here: the command line starts in half the time without it.
        from faststream.security import (  # noqa: PLC0415
            BaseSecurity,
            SASLPlaintext,
            SASLScram256,
            SASLScram512,
        )

        settings, tls = self.settings, self._tls()
        if settings.security_protocol == "PLAINTEXT":
            return None
        if "SASL" not in settings.security_protocol:
            return BaseSecurity(ssl_context=tls, use_ssl=True)
        kinds = {"PLAIN": SASLPlaintext, "SCRAM-SHA-256": SASLScram256, "SCRAM-SHA-512": SASLScram512}
        return kinds[settings.sasl_mechanism](
            settings.sasl_username, self._password(), ssl_context=tls, use_ssl=tls is not None
        )

    def consumer(self, **arguments: Any) -> AIOKafkaConsumer:
        """A consumer outside any group, read-committed, that commits nothing, unless told otherwise."""
        defaults = {"enable_auto_commit": False, "isolation_level": "read_committed", "auto_offset_reset": "earliest"}
        return AIOKafkaConsumer(**(self._arguments() | defaults | arguments))

    def producer(self, **arguments: Any) -> AIOKafkaProducer:
        """An idempotent producer."""
        return AIOKafkaProducer(**(self._arguments() | _WRITES | arguments))

    def transactional(self, transactional_id: str, **arguments: Any) -> TransactionalProducer:
        """A producer that writes in transactions; its start fences whoever had the id before."""
        return TransactionalProducer(transactional_id, **(self._arguments() | _WRITES | arguments))

    def admin(self) -> AIOKafkaAdminClient:
        """An admin client: topics and their settings."""
        return AIOKafkaAdminClient(**self._arguments())

    def librdkafka(self) -> dict[str, Any]:
        """The same for clients of confluent-kafka."""
        settings = self.settings
        found: dict[str, Any] = {
            "bootstrap.servers": settings.bootstrap_servers,
            "security.protocol": settings.security_protocol,
            "socket.timeout.ms": REQUEST_TIMEOUT_MS,
        }
        if "SASL" in settings.security_protocol:
            found |= {"sasl.mechanism": settings.sasl_mechanism, "sasl.username": settings.sasl_username}
            found |= {"sasl.password": self._password()}
        if "SSL" in settings.security_protocol:
            files = {
                "ssl.ca.location": settings.ssl_cafile,
                "ssl.certificate.location": settings.ssl_certfile,
                "ssl.key.location": settings.ssl_keyfile,
            }
            found |= {name: str(path) for name, path in files.items() if path}
        return found
