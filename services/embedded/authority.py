"""A certificate authority of a data directory's own: what listens on loopback shows a certificate of it.

It can vouch for this machine's loopback names alone (RFC 5280, name constraints): who trusts it trusts it for no other.
Keys are readable by their owner only. A certificate is renewed at a start within the last part of its life.
"""

import os
import tempfile
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address, ip_network
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from services.embedded.secured import CA_FILE

CA_DAYS, SERVER_DAYS, RENEWED_DAYS = 3650, 365, 60
"""How long an authority and a certificate last, and how long before its end a certificate is made anew."""

_BACKDATED = timedelta(minutes=5)
_NAMES = (x509.DNSName("localhost"), x509.IPAddress(ip_address("127.0.0.1")), x509.IPAddress(ip_address("::1")))
_VOUCHES_FOR = (
    x509.DNSName("localhost"),
    x509.IPAddress(ip_network("127.0.0.0/8")),
    x509.IPAddress(ip_network("::1/128")),
)


def certificate(data: Path, name: str, now: datetime | None = None) -> Path:
    """The file with key and certificate of a server on loopback, made or renewed where that is due.

    The authority is made with the first. Raises OSError. One process at a time: the caller holds the data directory.
    """
    now = now or datetime.now(UTC)
    cafile = data.absolute() / CA_FILE
    cafile.parent.mkdir(parents=True, exist_ok=True)
    authority, key = _authority(cafile, now)
    file = cafile.with_name(f"{name}.pem")
    if not _serves(file, authority, now):
        own = ec.generate_private_key(ec.SECP256R1())
        made = _server(name, own.public_key(), authority, now).sign(key, SHA256())
        _write(file, _pem(own) + made.public_bytes(Encoding.PEM), 0o600)
    return file


def _authority(cafile: Path, now: datetime) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
    """Its certificate and key; new ones where there are none, or they would not outlast what they sign."""
    keyfile = cafile.with_name("ca.key")
    try:
        known = x509.load_pem_x509_certificate(cafile.read_bytes())
        key = load_pem_private_key(keyfile.read_bytes(), None)
    except FileNotFoundError:
        pass
    else:
        outlasts = known.not_valid_after_utc - now > timedelta(days=SERVER_DAYS)
        if outlasts and isinstance(key, ec.EllipticCurvePrivateKey) and key.public_key() == known.public_key():
            return known, key
    fresh = ec.generate_private_key(ec.SECP256R1())
    made = _ca(fresh.public_key(), now).sign(fresh, SHA256())
    _write(keyfile, _pem(fresh), 0o600)
    _write(cafile, made.public_bytes(Encoding.PEM), 0o644)
    return made, fresh


def _serves(file: Path, authority: x509.Certificate, now: datetime) -> bool:
    """Whether there is a certificate of this authority that is not due to be renewed."""
    try:
        known = x509.load_pem_x509_certificate(file.read_bytes())
        known.verify_directly_issued_by(authority)
    except (FileNotFoundError, ValueError, InvalidSignature):
        return False
    return known.not_valid_after_utc - now > timedelta(days=RENEWED_DAYS)


def _ca(key: ec.EllipticCurvePublicKey, now: datetime) -> x509.CertificateBuilder:
    serial = x509.random_serial_number()
    name = _named(f"Herald on this machine, {serial:040x}"[:60])
    usage = {name: name in {"key_cert_sign", "crl_sign"} for name in _USAGES}
    return (
        _begun(name, name, key, now, CA_DAYS)
        .serial_number(serial)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(x509.KeyUsage(**usage), critical=True)
        .add_extension(x509.NameConstraints(permitted_subtrees=_VOUCHES_FOR, excluded_subtrees=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


def _server(
    name: str, key: ec.EllipticCurvePublicKey, authority: x509.Certificate, now: datetime
) -> x509.CertificateBuilder:
    identifier = authority.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    usage = {name: name == "digital_signature" for name in _USAGES}
    return (
        _begun(_named(f"herald {name}"), authority.subject, key, now, SERVER_DAYS)
        .serial_number(x509.random_serial_number())
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.KeyUsage(**usage), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectAlternativeName(_NAMES), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier), critical=False)
    )


_USAGES = (
    "digital_signature",
    "content_commitment",
    "key_encipherment",
    "data_encipherment",
    "key_agreement",
    "key_cert_sign",
    "crl_sign",
    "encipher_only",
    "decipher_only",
)


def _begun(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, now: datetime, days: int
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .not_valid_before(now - _BACKDATED)
        .not_valid_after(now + timedelta(days=days))
    )


def _named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def _write(file: Path, content: bytes, mode: int) -> None:
    """As a whole or not at all: who reads it meanwhile gets the one or the other."""
    handle, name = tempfile.mkstemp(dir=file.parent)  # 0600 from the beginning
    try:
        with os.fdopen(handle, "wb") as out:
            out.write(content)
        Path(name).chmod(mode)
        Path(name).replace(file)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
