"""Free ports on the loopback interface."""

import secrets
import socket

LOOPBACK = "127.0.0.1"
_LISTENERS = range(20_000, 32_768)
"""Below the ports that systems give to outgoing connections: none of those takes one while its listener is down."""
_given: set[int] = set()


def is_free(port: int) -> bool:
    """Whether something could listen there now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
    return True


def free() -> int:
    """A port that was free a moment ago, and given to nobody else here: who got it may not listen there yet."""
    if len(_given) > len(_LISTENERS) // 2:
        _given.clear()
    while (port := secrets.choice(_LISTENERS)) in _given or not is_free(port):
        pass
    _given.add(port)
    return port


def is_listening(port: int) -> bool:
    """Whether something answers there."""
    with socket.socket() as probe:
        probe.settimeout(0.5)
        return probe.connect_ex((LOOPBACK, port)) == 0
