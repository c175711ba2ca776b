"""What kept a server's answer from coming, in words of ours: an error's own may hold an address or a header. Pure."""

import os
import ssl
from socket import gaierror

import httpcore
import httpx

from schemas.delivery import Failure
from services.deliveries.backend import PlainHttp
from services.deliveries.certificate import UnusableCertificate
from services.deliveries.guard import ForbiddenAddress


def mishap(error: Exception) -> tuple[Failure, str] | None:
    """The failure, and a line about it. None: it is no mishap, but an error of Herald's own."""
    chain = _chain(error)
    tls = next(
        (each for each in chain if isinstance(each, ssl.SSLError) and not isinstance(each, ssl.SSLEOFError)), None
    )
    system = next((each for each in chain if isinstance(each, OSError)), None)
    match error:
        case ForbiddenAddress():
            return "forbidden-address", "no public address; name its network in allow_networks if it is meant"
        case PlainHttp():
            return "forbidden-address", "http:// is for networks that allow_networks names: use https://"
        case UnusableCertificate():
            return "misconfigured", f"the client certificate cannot be used: {error}"
        case _ if tls is not None:
            return "tls", _tls_words(tls)
        case TimeoutError() | httpcore.TimeoutException():
            return "timeout", "no answer in time"
        case httpcore.RemoteProtocolError() if error.__cause__ is None:  # httpcore's own word for an early end
            return "unreachable", "the connection was closed without an answer"
        case httpcore.RemoteProtocolError():
            return "protocol", "what came back was not HTTP"
        case httpcore.NetworkError() | OSError():
            if isinstance(system, gaierror):
                return "unreachable", "no such host"
            # An event loop's own text names the address.
            return (
                "unreachable",
                f"no connection: {os.strerror(system.errno) if system and system.errno else 'it broke off'}",
            )
        case httpx.InvalidURL() | httpcore.LocalProtocolError() | ValueError() | OverflowError():
            return "misconfigured", "the address, or a header, is none that can be sent"
    return None


def _tls_words(error: ssl.SSLError) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"the certificate was not taken: {error.verify_message.partition(',')[0]}"
    return f"TLS failed: {(error.reason or 'no reason given').replace('_', ' ').lower()}"


def _chain(error: BaseException | None) -> list[BaseException]:
    found: list[BaseException] = []
    while error is not None and error not in found:
        found.append(error)
        error = error.__cause__
    return found
