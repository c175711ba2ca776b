"""One release's records as a file that proves itself: each line is chained to those before it, the last one signs.

Lines are JSON: a head (what it is, of which release), one a record (coordinates, append time, key, value, the value's
SHA-256), a seal. Each carries the SHA-256 of the chain until then; the seal signs the chain's end with Ed25519
(RFC 8032). Whoever has the public key needs nothing else. Pure.
"""

import hashlib
import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from schemas.values import rfc3339

FORMAT = "herald-evidence-1"
_DOMAIN = b"herald-evidence-1\n"
"""Stands before what is signed, so that a signature made for anything else is none of this."""

_SEAL = re.compile(rb'\{"records":(0|[1-9][0-9]*),"chain":"([0-9a-f]{64})","signature":"([0-9a-f]{128})"\}\n')


class Tampered(ValueError):
    """It is not what was signed; one line for people."""


@dataclass(frozen=True, slots=True, order=True)
class Kept:
    """One record of Kafka. `ms`: when Kafka took it, in milliseconds since 1970."""

    ms: int
    topic: str
    partition: int
    offset: int
    key: str
    value: str

    @property
    def where(self) -> str:
        """Its coordinates."""
        return f"{self.topic} {self.partition}/{self.offset}"


@dataclass(frozen=True, slots=True)
class Evidence:
    """A file whose signature holds."""

    release_id: str
    made_at: str
    records: tuple[Kept, ...]

    @property
    def topics(self) -> Counter[str]:
        """How many records of each topic."""
        return Counter(record.topic for record in self.records)


def fingerprint(key: Ed25519PublicKey) -> str:
    """The SHA-256 of a public key: what people compare by telephone."""
    return hashlib.sha256(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).hexdigest()


def sealed(release_id: str, made_at: datetime, records: Iterable[Kept], key: Ed25519PrivateKey) -> Iterator[bytes]:
    """The lines of the file, each with its line feed."""
    chain, count = _Chain(), 0
    signer = fingerprint(key.public_key())
    yield chain.add(_line(evidence=FORMAT, release_id=release_id, made_at=rfc3339(made_at), signer=signer))
    for record in sorted(records):
        count += 1
        yield chain.add(
            _line(
                n=count,
                topic=record.topic,
                partition=record.partition,
                offset=record.offset,
                appended_ms=record.ms,
                key=record.key,
                value=record.value,
                sha256=_sha256(record.value),
                chain=chain.end,
            )
        )
    signature = key.sign(_DOMAIN + chain.end.encode()).hex()
    yield _line(records=count, chain=chain.end, signature=signature)


def opened(text: bytes, key: Ed25519PublicKey) -> Evidence:
    """What a file holds. Raises Tampered where it is not, byte for byte, what the owner of the key has signed."""
    *lines, last = [line + b"\n" for line in text.removesuffix(b"\n").split(b"\n")]
    seal = _SEAL.fullmatch(last)
    if seal is None or not lines or not text.endswith(b"\n"):
        raise Tampered("the last line is no seal: the file was cut short, or something was added to it")
    chain, records = _Chain(), []
    for number, line in enumerate(lines, 1):
        found = _read(line, number)
        if number > 1:
            records.append(_record(found, number, chain.end))
        chain.add(line)
    if int(seal[1]) != len(records) or seal[2].decode() != chain.end:
        raise Tampered(f"{len(records)} records are not those that were sealed: something was changed, or is missing")
    try:
        key.verify(bytes.fromhex(seal[3].decode()), _DOMAIN + chain.end.encode())
    except InvalidSignature:
        raise Tampered("the signature is not of this key, or was changed") from None
    head = _read(lines[0], 1)
    if head.get("evidence") != FORMAT:
        raise Tampered(f"line 1: this is no file of the format {FORMAT}")
    return Evidence(str(head.get("release_id")), str(head.get("made_at")), tuple(records))


class _Chain:
    """The hash over all lines until now."""

    def __init__(self) -> None:
        self._hash = hashlib.sha256()

    def add(self, line: bytes) -> bytes:
        """Takes a line."""
        self._hash.update(line)
        return line

    @property
    def end(self) -> str:
        """As it stands."""
        return self._hash.hexdigest()


def _line(**fields: Any) -> bytes:
    return json.dumps(fields, separators=(",", ":")).encode() + b"\n"


def _sha256(value: str) -> str:
    return hashlib.sha256(value.encode()).hexdigest()


def _read(line: bytes, number: int) -> dict[str, Any]:
    try:
        found = json.loads(line)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise Tampered(f"line {number}: is not one JSON object")
    return found


def _record(found: dict[str, Any], number: int, chain: str) -> Kept:
    if found.get("chain") != chain:
        raise Tampered(f"line {number}: does not follow from the lines before it: one was changed, left out or moved")
    if found.get("n") != number - 1 or _sha256(str(found.get("value"))) != found.get("sha256"):
        raise Tampered(f"line {number}: its number, or the hash of its value, is wrong")
    names = ("appended_ms", "topic", "partition", "offset", "key", "value")
    return Kept(*(found.get(name) for name in names))  # type: ignore[arg-type]
