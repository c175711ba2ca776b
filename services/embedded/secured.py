"""What makes the embedded broker ask who is there: TLS and SCRAM, an authorizer, and one super user, `admin`.

Chosen when a data directory is formatted, and for ever: the password file in it says so.
"""

import os
import secrets
from pathlib import Path

ADMIN = "admin"
PASSWORD_FILE = "admin.password"  # noqa: S105 - its name
CA_FILE = Path("tls", "ca.pem")
"""In a data directory: the certificate of its own authority, which clients trust."""

OPEN = """\
listener.security.protocol.map=CLIENTS:PLAINTEXT,CONTROLLER:PLAINTEXT
"""

# The broker's own way to the controller authenticates too, as the super user: nobody who is not authenticated is one,
# on either listener. (PLAIN there, because SCRAM's credentials are in the log that the controller has yet to read.)
_SECURED = """\
listener.security.protocol.map=CLIENTS:SASL_SSL,CONTROLLER:SASL_SSL
ssl.keystore.type=PEM
ssl.keystore.location={keystore}
ssl.truststore.type=PEM
ssl.truststore.location={cafile}
sasl.enabled.mechanisms=SCRAM-SHA-512
sasl.mechanism.inter.broker.protocol=SCRAM-SHA-512
sasl.mechanism.controller.protocol=PLAIN
listener.name.clients.scram-sha-512.sasl.jaas.config=\
org.apache.kafka.common.security.scram.ScramLoginModule required username="{admin}" password="{password}";
listener.name.controller.sasl.enabled.mechanisms=PLAIN
listener.name.controller.plain.sasl.jaas.config=\
org.apache.kafka.common.security.plain.PlainLoginModule required username="{admin}" password="{password}" \
user_{admin}="{password}";
authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
allow.everyone.if.no.acl.found=false
super.users=User:{admin}
"""


def new_password() -> str:
    """A password that nobody guesses."""
    return secrets.token_urlsafe(32)


def write_secret(path: Path, text: str) -> None:
    """Writes a new file that only its owner may read. Raises FileExistsError."""
    with os.fdopen(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "w") as file:
        file.write(text)


def properties(password: str, keystore: Path, cafile: Path) -> str:
    """The lines of server.properties that secure a broker; the key and the certificates are PEM."""
    return _SECURED.format(admin=ADMIN, password=password, keystore=keystore, cafile=cafile)


def scram(password: str) -> str:
    """The super user, as the format tool takes it."""
    return f"SCRAM-SHA-512=[name={ADMIN},password={password}]"
