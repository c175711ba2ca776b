"""Looks at what a registry's references lead to: secrets and certificates. It never shows a value.

What it finds is true of this machine and this environment alone, and of now.
"""

import os
import ssl
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from schemas.endpoint import (
    LONGEST_KEY,
    SHORTEST_KEY,
    Chat,
    ClientCertificate,
    Endpoint,
    MailRelay,
    Webhook,
    signing_key,
)
from schemas.endpoint_check import Fault, url_fault
from schemas.registry import RegistryFile

MAX_BYTES = 64 * 1024
"""More than any secret or certificate has."""

MAKE_ONE = 'make one: (umask 077; echo "whsec_$(openssl rand -base64 32)" > FILE)'


class Unusable(Exception):
    """A reference leads to nothing, or to what cannot be used; the message says why, and no value."""


def faults(registry: RegistryFile) -> Iterator[Fault]:
    """Every reference that cannot be used: the field, and what is wrong."""
    keys: dict[bytes, str] = {}
    for agency, about in registry.agencies.items():
        for name, endpoint in about.endpoints.items():
            where = f"agencies.{agency}.endpoints.{name}"
            yield from _found(_of_endpoint(where, endpoint, registry.allow_networks, keys))
    if registry.mail is not None:
        yield from _found(_of_relay(registry.mail))


_Look = tuple[str, Callable[[], object]]
"""A field, and what raises Unusable when it cannot be used."""


def _found(looks: Iterator[_Look]) -> Iterator[Fault]:
    for field, look in looks:
        try:
            look()
        except Unusable as error:
            yield field, str(error)


def _of_endpoint(where: str, endpoint: Endpoint, allow: tuple[str, ...], keys: dict[bytes, str]) -> Iterator[_Look]:
    if isinstance(endpoint, Webhook):
        for number, secret in enumerate(endpoint.secrets):
            field = f"{where}.secrets.{number}"
            yield field, partial(_signs_alone, secret, field, keys)
        if (shown := endpoint.client_certificate) is not None:
            yield f"{where}.client_certificate", partial(_pair, shown)
    elif isinstance(endpoint, Chat):
        yield f"{where}.url", partial(_leads, endpoint.url, allow)
        if (token := endpoint.token) is not None:
            yield f"{where}.token", partial(_value, token)


def _of_relay(relay: MailRelay) -> Iterator[_Look]:
    if (password := relay.password) is not None:
        yield "mail.password", partial(_value, password)
    if (cafile := relay.cafile) is not None:
        yield "mail.cafile", partial(_authorities, cafile)


def _value(reference: str) -> str:
    """What a reference stands for, without white space around it."""
    kind, _, place = reference.partition(":")
    if kind == "env":
        text, nothing = os.environ.get(place, ""), f"the variable {place} is not set in this environment, or empty"
    else:
        text, nothing = _text(place, "unknown secret: "), f"{place} is empty"
    if not text.strip():
        raise Unusable(f"unknown secret: {nothing}")
    return text.strip()


def _text(path: str, before: str = "") -> str:
    """What a file holds. No pipe and no device: one may wait for ever, or have no end."""
    try:
        if Path(path).exists() and not Path(path).is_file():
            raise Unusable(f"{before}{path} is no file")
        with Path(path).open("rb") as opened:
            found = opened.read(MAX_BYTES + 1)
        if len(found) > MAX_BYTES:
            raise Unusable(f"{before}{path} holds more than {MAX_BYTES} bytes")
        return found.decode()
    except OSError as error:
        raise Unusable(f"{before}{path} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise Unusable(f"{before}{path} is no text in UTF-8") from None


def _signs_alone(reference: str, field: str, keys: dict[bytes, str]) -> None:
    """A signing secret, and no other's: who has it would pass for Herald at the other receiver."""
    try:
        secret = _value(reference)
    except Unusable as error:
        raise Unusable(f"{error}; {MAKE_ONE}") from None
    key = signing_key(secret)
    if key is None:
        rule = f"must stand for whsec_ and the base64 of {SHORTEST_KEY} to {LONGEST_KEY} random bytes"
        raise Unusable(f"{rule}; {MAKE_ONE}")
    if (other := keys.setdefault(key, field)) != field:
        raise Unusable(f"stands for the same as {other}; each is a secret of its own; {MAKE_ONE}")


def _leads(reference: str, allow: tuple[str, ...]) -> None:
    """A chat's address: itself a secret."""
    if (said := url_fault(_value(reference), allow)) is not None:
        raise Unusable(f"stands for what {said}")


def _pair(shown: ClientCertificate) -> None:
    for path in (shown.certificate, shown.key):
        _text(path)
    try:
        # The empty password: where a key asks for one, nobody is there to be asked.
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_cert_chain(shown.certificate, shown.key, password="")
    except (OSError, ValueError):  # SSLError is an OSError
        raise Unusable("must be a certificate and the key of it, PEM, the key without a password") from None


def _authorities(path: str) -> None:
    _text(path)
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cafile=path)
    except OSError:  # SSLError is one
        raise Unusable(f"{path} holds no certificates in PEM") from None
