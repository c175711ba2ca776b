"""The local authority: what it signs is trusted on loopback alone, keeps its keys, and is renewed in time."""

import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key

from services.embedded.authority import CA_DAYS, RENEWED_DAYS, SERVER_DAYS, certificate
from services.embedded.secured import CA_FILE

NOW = datetime.now(UTC)


def shaken(server: Path, cafile: Path, name: str) -> None:
    """A TLS handshake in memory; raises ssl.SSLError where the client does not trust the server."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(server)
    client_in, client_out = ssl.MemoryBIO(), ssl.MemoryBIO()
    ours = ssl.create_default_context(cafile=str(cafile)).wrap_bio(client_in, client_out, server_hostname=name)
    theirs = context.wrap_bio(client_out, client_in, server_side=True)
    waiting = {ours, theirs}
    while waiting:
        for side in (ours, theirs):
            try:
                side.do_handshake()
            except ssl.SSLWantReadError:
                continue
            waiting.discard(side)


@pytest.mark.parametrize("name", ["localhost", "127.0.0.1", "::1"])
def test_a_client_that_has_the_authority_trusts_its_servers_by_each_loopback_name(name: str, tmp_path: Path) -> None:
    shaken(certificate(tmp_path, "kafka"), tmp_path / CA_FILE, name)


def test_a_client_trusts_no_other_name_and_no_other_authority(tmp_path: Path) -> None:
    server = certificate(tmp_path / "one", "kafka")
    certificate(tmp_path / "two", "kafka")
    with pytest.raises(ssl.SSLCertVerificationError, match="mismatch"):
        shaken(server, tmp_path / "one" / CA_FILE, "herald.example")
    with pytest.raises(ssl.SSLCertVerificationError):
        shaken(server, tmp_path / "two" / CA_FILE, "localhost")


def test_who_gets_hold_of_the_authoritys_key_cannot_pose_as_another_host(tmp_path: Path) -> None:
    """RFC 5280, 4.2.1.10: the authority is constrained to loopback names."""
    known = x509.load_pem_x509_certificate(certificate(tmp_path, "kafka").read_bytes())
    authority = x509.load_pem_x509_certificate((tmp_path / CA_FILE).read_bytes())
    stolen = load_pem_private_key((tmp_path / CA_FILE).with_name("ca.key").read_bytes(), None)
    assert isinstance(stolen, ec.EllipticCurvePrivateKey)
    for posed, trusted in (("bank.example", False), ("localhost", True)):
        own = ec.generate_private_key(ec.SECP256R1())
        forged = x509.CertificateBuilder(
            authority.subject, known.subject, own.public_key(), 7, NOW - timedelta(days=1), NOW + timedelta(days=1)
        ).add_extension(x509.SubjectAlternativeName([x509.DNSName(posed)]), critical=False)
        for extension in known.extensions:
            if not isinstance(extension.value, x509.SubjectAlternativeName | x509.SubjectKeyIdentifier):
                forged = forged.add_extension(extension.value, extension.critical)
        pem = own.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        (tmp_path / "forged.pem").write_bytes(pem + forged.sign(stolen, SHA256()).public_bytes(Encoding.PEM))
        if trusted:
            shaken(tmp_path / "forged.pem", tmp_path / CA_FILE, posed)
        else:
            with pytest.raises(ssl.SSLCertVerificationError, match="permitted subtree"):
                shaken(tmp_path / "forged.pem", tmp_path / CA_FILE, posed)


def test_keys_are_their_owners_alone_whatever_the_umask(tmp_path: Path) -> None:
    certificate(tmp_path, "kafka")
    certificate(tmp_path, "door")
    modes = {file.name: file.stat().st_mode & 0o777 for file in (tmp_path / CA_FILE).parent.iterdir()}
    assert modes == {"ca.pem": 0o644, "ca.key": 0o600, "kafka.pem": 0o600, "door.pem": 0o600}


def test_a_certificate_is_kept_until_near_its_end_and_then_made_anew_by_the_same_authority(tmp_path: Path) -> None:
    first = certificate(tmp_path, "kafka", NOW).read_bytes()
    authority = (tmp_path / CA_FILE).read_bytes()
    due = NOW + timedelta(days=SERVER_DAYS - RENEWED_DAYS)
    assert certificate(tmp_path, "kafka", due - timedelta(minutes=1)).read_bytes() == first
    renewed = certificate(tmp_path, "kafka", due + timedelta(minutes=1)).read_bytes()
    assert renewed != first
    assert x509.load_pem_x509_certificate(renewed).not_valid_after_utc > due + timedelta(days=SERVER_DAYS - 1)
    assert (tmp_path / CA_FILE).read_bytes() == authority


def test_an_authority_that_would_not_outlast_its_certificates_is_made_anew_and_they_with_it(tmp_path: Path) -> None:
    before = NOW - timedelta(days=CA_DAYS - SERVER_DAYS + 1)
    certificate(tmp_path, "kafka", before)
    old = (tmp_path / CA_FILE).read_bytes()
    shaken(certificate(tmp_path, "kafka"), tmp_path / CA_FILE, "localhost")
    assert (tmp_path / CA_FILE).read_bytes() != old


def test_a_key_that_does_not_belong_to_the_authority_is_not_used(tmp_path: Path) -> None:
    certificate(tmp_path / "one", "kafka")
    certificate(tmp_path / "two", "kafka")
    (tmp_path / "two" / CA_FILE).with_name("ca.key").replace((tmp_path / "one" / CA_FILE).with_name("ca.key"))
    shaken(certificate(tmp_path / "one", "kafka"), tmp_path / "one" / CA_FILE, "localhost")
