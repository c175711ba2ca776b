"""`herald export`: one release's evidence in a signed file, and whether such a file is what was signed."""

import asyncio
import os
import sys
from pathlib import Path
from typing import Annotated

import typer
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_pem_public_key

from services.audit.evidence import Tampered, fingerprint, opened, sealed
from services.audit.gather import gather
from services.cli import session
from services.cli.audited import audited
from services.cli.exchange import REFUSED
from services.cli.pace import paced
from services.cli.releases import release_id_of
from services.kernel.clock import SystemClock
from services.kernel.settings import SettingsError

_MAKE = "`openssl genpkey -algorithm ed25519 -out FILE` makes one"


def export(
    release: Annotated[str | None, typer.Argument(help="Its id, or `<lab>/<reference>`.")] = None,
    key: Annotated[Path | None, typer.Option("--key", help="Ed25519 private key (PEM) that signs.")] = None,
    out: Annotated[Path | None, typer.Option("--out", help="The file to write; it must not be there yet.")] = None,
    verify: Annotated[Path | None, typer.Option("--verify", help="Verify this file instead.")] = None,
    public_key: Annotated[Path | None, typer.Option("--public-key", help="The signer's public key (PEM).")] = None,
    as_json: session.Json = False,
) -> None:
    """Write all that Kafka keeps of a release to a signed file; or verify one, with the public key alone.

    The file holds what the lab said, windows, alerts, deliveries, answers, receipts and the registry's versions, each
    record as it stands in Kafka: it is confidential. An export is audited, as a look is. Any change of the file is
    refused when it is verified.

    Exit codes: 0 done, or it is what was signed; 1 failed; 2 usage; 3 it is not what was signed.

    Example: herald export aurora-labs/halo-4 --key evidence.key --out halo-4.evidence
    """
    if verify is not None:
        if release is not None or key is not None or out is not None or public_key is None:
            raise SettingsError("to verify a file, write `herald export --verify FILE --public-key FILE` alone")
        _verify(verify, _public(public_key), as_json)
        return
    if release is None or key is None or out is None or public_key is not None:
        raise SettingsError("to export, write `herald export RELEASE --key FILE --out FILE`")
    asyncio.run(_export(release, _private(key), out, as_json))


async def _export(release: str, key: Ed25519PrivateKey, out: Path, as_json: bool) -> None:
    if out.exists():
        raise SettingsError(f"--out {out} is there already: evidence is never written over")
    settings = session.settings()
    connection, clock = session.connect(settings), SystemClock(settings.clock)
    release_id = await release_id_of(connection, release)
    await audited(connection, "release.export", releases=(release_id,))
    records = await gather(connection, release_id, clock, paced("reading"))
    if not records:
        raise SettingsError(f"{release}: Kafka keeps nothing of this release ({release_id})")
    text = b"".join(sealed(release_id, clock.now(), records, key))
    with os.fdopen(os.open(out, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(text)
    signer = fingerprint(key.public_key())
    line = f"{out}: {len(records)} records of release {release_id}, signed by {signer}"
    session.say(as_json, line, file=str(out), release_id=release_id, records=len(records), signer=signer)


def _verify(file: Path, key: Ed25519PublicKey, as_json: bool) -> None:
    signer = fingerprint(key)
    try:
        evidence = opened(file.read_bytes(), key)
    except Tampered as error:
        session.say(as_json, f"{file}: {error}", file=str(file), outcome="refused", reason=str(error), signer=signer)
        sys.exit(REFUSED)
    counted = ", ".join(f"{count} {topic}" for topic, count in sorted(evidence.topics.items()))
    line = f"{file} is what {signer} has signed at {evidence.made_at}: release {evidence.release_id}, {counted}"
    fields = {"release_id": evidence.release_id, "made_at": evidence.made_at, "topics": evidence.topics}
    session.say(as_json, line, file=str(file), outcome="verified", signer=signer, **fields)


def _private(file: Path) -> Ed25519PrivateKey:
    try:
        found = load_pem_private_key(file.read_bytes(), None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        found = None
    if not isinstance(found, Ed25519PrivateKey):
        raise SettingsError(f"--key {file}: is no Ed25519 private key in PEM without a password; {_MAKE}")
    return found


def _public(file: Path) -> Ed25519PublicKey:
    try:
        found = load_pem_public_key(file.read_bytes())
    except (ValueError, UnsupportedAlgorithm):
        found = None
    if not isinstance(found, Ed25519PublicKey):
        raise SettingsError(
            f"--public-key {file}: is no Ed25519 public key in PEM; `openssl pkey -in KEY -pubout` shows that of a key"
        )
    return found
