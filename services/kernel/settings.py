"""Settings by environment: `HERALD_…`, nested with two underscores (`HERALD_KAFKA__BOOTSTRAP_SERVERS`)."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from schemas.values import Duration, Instant
from services.kernel.loopback import is_loopback


class SettingsError(Exception):
    """A setting is missing or wrong; the message names it in one line."""


def kept_in(path: Path, setting: str) -> str:
    """What a file holds, without the space around it. Raises SettingsError, which says what named the file."""
    try:
        return path.read_text(encoding="utf-8").strip()
    except OSError as error:
        raise SettingsError(f"{setting}: cannot read {path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise SettingsError(f"{setting}: what {path} holds is no UTF-8") from None


class KafkaSettings(BaseModel):
    """How to reach Kafka. Secrets may come from a file: `sasl_password_file`."""

    bootstrap_servers: str = Field(default="", description="host:port, comma separated; empty: the embedded Kafka")
    topic_prefix: str = Field(default="herald.", pattern=r"^[a-z0-9._-]*$", description="put before every topic name")
    security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = "PLAINTEXT"
    sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = "SCRAM-SHA-512"
    sasl_username: str = ""
    sasl_password: SecretStr = SecretStr("")
    sasl_password_file: Path | None = Field(default=None, description="read instead of sasl_password")
    ssl_cafile: Path | None = None
    ssl_certfile: Path | None = None
    ssl_keyfile: Path | None = None
    session_timeout_ms: int = Field(default=6000, ge=1000)
    transaction_timeout_ms: int = Field(default=10_000, ge=1000)
    replication_factor: int = Field(default=1, ge=1, description="of the topics that provisioning makes")


class ClockSettings(BaseModel):
    """Which time it is. With a rate other than 1, Herald's time runs faster from `started_at` on, for demos."""

    rate: float = Field(default=1.0, gt=0, description="seconds of Herald's time in a second")
    started_at: Instant = Field(default=datetime(2000, 1, 1, tzinfo=UTC), description="real instant of the start")
    starts_from: Instant | None = Field(default=None, description="Herald's time at that instant; absent: the same")


class DoorSettings(BaseModel):
    """The HTTP door."""

    host: str = Field(default="127.0.0.1", description="where it listens; beyond loopback only with TLS or a proxy")
    port: int = Field(default=0, ge=0, le=65535, description="0: any free port")
    tls_certfile: Path | None = None
    tls_keyfile: Path | None = None
    behind_proxy: bool = Field(default=False, description="a proxy ends TLS in front of it")
    public_url: str = Field(
        default="", pattern=r"^(https?://[^\s/?#]+(/[^\s?#]*)?)?$", description="where others reach it: begins links"
    )
    link_key_file: Path | None = Field(default=None, description="signs acknowledgement links; absent: in `data`")
    database: SecretStr = Field(default=SecretStr(""), description="URL of the read model; empty: SQLite in `data`")
    database_file: Path | None = Field(default=None, description="a file that holds it: read instead of database")
    oidc_issuer: str = Field(
        default="",
        pattern=r"^(https?://[^\s?#]+)?$",
        description="lets operators log in to their page there; empty: tokens only",
    )
    oidc_client_id: str = Field(default="", description="as which the issuer knows the page")
    oidc_client_secret_file: Path | None = Field(default=None, description="absent: the page is a public client")
    oidc_role_claim: str = Field(default="roles", min_length=1, description="of the identity token; dots lead inside")
    oidc_operators: str = Field(default="herald-operator", min_length=1, description="in that claim: may act")
    oidc_viewers: str = Field(default="herald-viewer", min_length=1, description="in that claim: may look")
    requests_per_second: float = Field(default=20.0, gt=0, description="of one identity, in the long run")
    burst: int = Field(default=100, ge=1, description="of one identity, at once")
    open_requests: int = Field(default=64, ge=1, description="of one identity, open at the same time: streams as well")

    @property
    def address(self) -> str | None:
        """Where others reach it; None: nobody has said so, and it cannot be known."""
        if self.public_url:
            return self.public_url.rstrip("/")
        if not self.port or not is_loopback(self.host):
            return None
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'https' if self.tls_certfile else 'http'}://{host}:{self.port}"


class DeliverySettings(BaseModel):
    """Deliveries to push endpoints."""

    at_once: int = Field(default=512, ge=1, le=10_000, description="attempts of one process, at the same time")


def _seconds(value: Any) -> Any:
    return f"PT{value}S" if isinstance(value, str) and value.strip().replace(".", "", 1).isdigit() else value


class WatchdogSettings(BaseModel):
    """The watchdog."""

    every: Annotated[Duration, BeforeValidator(_seconds)] = Field(
        default=timedelta(minutes=5), ge=timedelta(seconds=1), description="how often its release goes the whole way"
    )
    audit_every: Annotated[Duration, BeforeValidator(_seconds)] = Field(
        default=timedelta(hours=6), ge=timedelta(seconds=1), description="how often it runs `herald audit`"
    )
    audit_username: str = Field(default="", description="the Kafka user of that; empty: the watchdog's own")
    audit_password_file: Path | None = Field(default=None, description="a file that holds its password")


class Settings(BaseSettings):
    """What all services and the command line share."""

    model_config = SettingsConfigDict(env_prefix="HERALD_", env_nested_delimiter="__", extra="ignore", frozen=True)

    kafka: KafkaSettings = KafkaSettings()
    clock: ClockSettings = ClockSettings()
    door: DoorSettings = DoorSettings()
    deliveries: DeliverySettings = DeliverySettings()
    watchdog: WatchdogSettings = WatchdogSettings()
    partitions: int = Field(default=1, ge=1, le=1024, description="of internal topics; fixed when provisioned")
    data: Path = Field(default=Path(".herald"), description="data directory of the embedded Kafka and of `herald up`")
    http_host: str = Field(default="127.0.0.1", description="where metrics and health are served")
    http_port: int = Field(default=0, ge=0, le=65535, description="of metrics and health; 0: any free port")
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    log_format: Literal["auto", "json", "console"] = Field(default="auto", description="auto: JSON unless a terminal")


def load(**overrides: Any) -> Settings:
    """The settings from the environment; raises SettingsError naming the variable and the rule."""
    try:
        return Settings(**overrides)
    except ValidationError as error:
        problem = error.errors()[0]
        name = "HERALD_" + "__".join(str(part).upper() for part in problem["loc"])
        raise SettingsError(f"{name}: {problem['msg']}") from None
