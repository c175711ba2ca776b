"""What Herald shows a server that asks who it is (mTLS): read anew when its files are replaced."""

import os
import ssl
from functools import lru_cache
from typing import NamedTuple

from schemas.endpoint import ClientCertificate


class UnusableCertificate(Exception):
    """A client certificate or its key cannot be read, or they do not belong together."""


class Identity(NamedTuple):
    """The files, and what changes when they are replaced."""

    certificate: str
    key: str
    changes: tuple[int, ...]


def identity(certificate: ClientCertificate) -> Identity:
    """Raises UnusableCertificate."""
    try:
        stats = [os.stat(path) for path in (certificate.certificate, certificate.key)]
    except OSError as error:
        raise UnusableCertificate(error.strerror) from None
    changes = tuple(value for each in stats for value in (each.st_mtime_ns, each.st_ino, each.st_size))
    return Identity(certificate.certificate, certificate.key, changes)


@lru_cache(maxsize=128)
def showing(shown: Identity) -> ssl.SSLContext:
    """TLS that shows it, and verifies the server as ever. Raises UnusableCertificate."""
    context = ssl.create_default_context()
    try:
        context.load_cert_chain(shown.certificate, shown.key, _no_passphrase)
    except (OSError, ValueError) as error:
        raise UnusableCertificate(getattr(error, "reason", None) or str(error)) from None
    return context


def _no_passphrase() -> str:
    raise ValueError("the key must have no passphrase")
