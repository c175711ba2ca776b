"""When the certificates in use end, read from their files at each scrape: a renewal needs no restart to be seen."""

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

from services.kernel.catalogue import CERTIFICATE_EXPIRY
from services.kernel.observe import log
from services.kernel.settings import Settings


def show_expiry(settings: Settings) -> None:
    """Those that the settings name."""
    files = {
        "door": settings.door.tls_certfile,
        "kafka_client": settings.kafka.ssl_certfile,
        "kafka_ca": settings.kafka.ssl_cafile,
    }
    for name, file in files.items():
        if file is not None:
            show_files([file], name)


def show_files(files: Sequence[Path], name: str, agency: str = "") -> None:
    """The first end among some files, under one name; an agency's where they are its own. No files: nothing."""
    if files:
        CERTIFICATE_EXPIRY.labels(name, agency).set_function(lambda: min(map(_end, files)))
    else:
        CERTIFICATE_EXPIRY.remove(name, agency)


def _end(file: Path) -> float:
    """When the first certificate of a file ends, in seconds since 1970. One that cannot be read has ended."""
    try:
        stat = file.stat()
        return _first_end(file, stat.st_mtime_ns, stat.st_ino)
    except (OSError, ValueError) as error:
        log.error("certificate_unreadable", error=repr(error))
        return 0.0


@lru_cache(maxsize=128)
def _first_end(file: Path, changed_ns: int, inode: int) -> float:
    from cryptography import x509  # noqa: PLC0415 - 8 MB that a process without certificates does not need

    certificates = x509.load_pem_x509_certificates(file.read_bytes())
    return min(one.not_valid_after_utc.timestamp() for one in certificates)
