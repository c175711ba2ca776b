"""Whether a host is this machine alone, so that nothing travels in the clear."""

import ipaddress


def is_loopback(host: str) -> bool:
    """A name other than localhost may lead anywhere: it is none."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
