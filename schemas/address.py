"""Which network addresses are public, in every form in which one can be written. No I/O: names are not looked up."""

import socket
from collections.abc import Sequence
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

NOT_PUBLIC: tuple[Network, ...] = tuple(
    ip_network(each)
    for each in (
        "0.0.0.0/8",  # this host
        "10.0.0.0/8",
        "100.64.0.0/10",  # carriers' own
        "127.0.0.0/8",
        "168.63.129.16/32",  # what Azure tells a machine about itself, on a public address
        "169.254.0.0/16",  # link-local, and what other clouds tell a machine about itself
        "172.16.0.0/12",
        "192.0.0.0/24",
        "192.0.2.0/24",  # documentation
        "192.88.99.0/24",  # 6to4 relays
        "192.168.0.0/16",
        "198.18.0.0/15",  # benchmarks
        "198.51.100.0/24",  # documentation
        "203.0.113.0/24",  # documentation
        "224.0.0.0/4",  # multicast
        "240.0.0.0/4",  # reserved, broadcast
        "2001::/23",  # protocols' own, Teredo among them
        "2001:db8::/32",  # documentation
        "3fff::/20",  # documentation
    )
)
"""IANA's special-purpose registries of IPv4 and, within 2000::/3, of IPv6 (RFC 6890, 9637)."""

GLOBAL_UNICAST = IPv6Network("2000::/3")
"""All that is public in IPv6 (RFC 4291 2.4): not loopback, mapped, site-local, ULA, link-local, multicast."""

SIX_TO_FOUR = IPv6Network("2002::/16")
NAT64 = IPv6Network("64:ff9b::/96")
"""Holds an IPv4 address in its last 32 bits (RFC 6052). 64:ff9b:1::/48 is a network's own: where in it the address
stands is not known from outside (RFC 8215), so it is never public."""

_LOOPBACK = IPv4Address("127.0.0.1")
_network = lru_cache(maxsize=1024)(ip_network)


def is_allowed(address: str | Address, allow: Sequence[str]) -> bool:
    """Whether Herald may connect here: a public address, or one in a network of `allow`.

    What is no address in the usual form, or has a scope id, is not. Addresses that hold an IPv4 address are judged by
    what they reach.
    """
    asked = _plain(address)
    return asked is not None and (is_within(asked, allow) or _is_public(_reached(asked)))


def is_within(address: str | Address, allow: Sequence[str]) -> bool:
    """Whether an address, or what it reaches, lies in a network of `allow`."""
    asked = _plain(address)
    if asked is None:
        return False
    reached = _reached(asked)
    return any(asked in network or reached in network for network in map(_network, allow))


def literal(host: str) -> Address | None:
    """The address that a host is without being looked up: also decimal, octal or hexadecimal, and `localhost`.

    IPv4 as inet_aton takes it, as resolvers do: `2130706433`, `0177.1` and `0x7f.0.0.1` are 127.0.0.1.
    """
    name = host.removeprefix("[").removesuffix("]").lower().removesuffix(".")
    if name in {"localhost", "localhost.localdomain", "ip6-localhost"} or name.endswith(".localhost"):  # RFC 6761 6.3
        return _LOOPBACK
    try:
        return ip_address(name)
    except ValueError:
        try:
            return IPv4Address(socket.inet_aton(name))
        except OSError:
            return None


def _plain(address: str | Address) -> Address | None:
    try:
        asked = ip_address(address)
    except ValueError:
        return None
    if isinstance(asked, IPv4Address):
        return asked
    # A mapped one is connected to by IPv4 itself.
    return None if asked.scope_id is not None else asked.ipv4_mapped or asked


def _reached(address: Address) -> Address:
    """The IPv4 address that a translator or a tunnel makes of it, or itself."""
    if address in SIX_TO_FOUR:
        return IPv4Address((int(address) >> 80) & 0xFFFFFFFF)
    if address in NAT64:
        return IPv4Address(int(address) & 0xFFFFFFFF)
    return address


def _is_public(address: Address) -> bool:
    if isinstance(address, IPv6Address) and address not in GLOBAL_UNICAST:
        return False
    return not any(address in network for network in NOT_PUBLIC)
