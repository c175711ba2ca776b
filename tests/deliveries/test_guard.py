"""Herald connects to public addresses and to networks that are named, whatever form an address has or a name says."""

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from ipaddress import IPv4Address, IPv4Network, IPv6Address, ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.address import is_allowed
from services.deliveries.guard import ForbiddenAddress, connected

LOOPBACK = ("127.0.0.0/8",)
PRIVATE = tuple(
    IPv4Network(each)
    for each in ("10.0.0.0/8", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10")
)
PUBLIC = [
    "1.1.1.1",
    "8.8.8.8",
    "100.63.255.255",
    "100.128.0.1",
    "169.253.255.255",
    "172.15.255.255",
    "172.32.0.1",
    "223.255.255.255",
    "2606:4700:4700::1111",
    "2a00:1450:4001:830::200e",
    "::ffff:8.8.8.8",
    "2002:808:808::1",
    "64:ff9b::8.8.8.8",
]
NOT_PUBLIC = [
    "0.0.0.0",  # noqa: S104 - it is refused
    "0.1.2.3",
    "10.0.0.1",
    "100.64.0.1",
    "100.100.100.200",
    "127.0.0.1",
    "127.255.255.254",
    "168.63.129.16",
    "169.254.169.254",
    "172.16.0.1",
    "172.31.255.255",
    "192.0.0.192",
    "192.0.2.1",
    "192.88.99.1",
    "192.168.1.1",
    "198.19.255.255",
    "198.51.100.1",
    "203.0.113.1",
    "224.0.0.1",
    "239.255.255.255",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::8.8.8.8",
    "::127.0.0.1",
    "::ffff:127.0.0.1",
    "::ffff:a9fe:a9fe",
    "::ffff:0:8.8.8.8",
    "64:ff9b::7f00:1",
    "64:ff9b::169.254.169.254",
    "64:ff9b:1::8.8.8.8",
    "64:ff9b:1:a00::1",
    "100::1",
    "2001::1",
    "2001:0:4136:e378:8000:63bf:3fff:fdd2",
    "2001:20::1",
    "2001:db8::1",
    "2002:7f00:1::",
    "2002:a9fe:a9fe::1",
    "2002:c0a8:101::1",
    "3fff:fff::1",
    "5f00::1",
    "fc00::1",
    "fd00:ec2::254",
    "fe80::1",
    "fe80::1%1",
    "febf::1",
    "fec0::1",
    "ff02::1",
    "2606:4700:4700::1111%eth0",
]
FORMS_OF_LOOPBACK = ["2130706433", "017700000001", "0x7f000001", "0177.0.0.1", "0x7f.1", "127.1", "127.0.1", "0", "0x0"]


@pytest.mark.parametrize("address", PUBLIC)
def test_a_public_address_passes(address: str) -> None:
    assert is_allowed(address, ())


@pytest.mark.parametrize("address", NOT_PUBLIC)
def test_an_address_that_is_not_public_is_refused(address: str) -> None:
    assert not is_allowed(address, ())


@pytest.mark.parametrize(
    "text", ["", "localhost", "example.org", "127.0.0.1:80", "[::1]", *FORMS_OF_LOOPBACK, "١.1.1.1"]
)
def test_what_is_no_address_in_the_usual_form_is_refused_even_where_everything_is_allowed(text: str) -> None:
    assert not is_allowed(text, ("0.0.0.0/0", "::/0"))


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("10.20.3.4", "10.20.0.0/16"),
        ("::ffff:10.20.3.4", "10.20.0.0/16"),
        ("2002:0a14:0304::1", "10.20.0.0/16"),
        ("64:ff9b::10.20.3.4", "10.20.0.0/16"),
        ("64:ff9b::10.20.3.4", "64:ff9b::/96"),
        ("64:ff9b:1::8.8.8.8", "64:ff9b:1::/48"),
        ("fd12::1", "fd12::/16"),
        ("::1", "::1/128"),
        ("127.0.0.1", "127.0.0.1/32"),
    ],
)
def test_a_network_that_is_named_is_allowed_in_each_form_that_reaches_it_and_no_other(
    address: str, network: str
) -> None:
    assert is_allowed(address, (network,))
    assert not is_allowed(address, ("10.21.0.0/16", "fd13::/16"))


@pytest.mark.parametrize("address", ["::ffff:127.0.0.1", "::ffff:169.254.169.254"])
def test_all_of_ipv6_does_not_let_in_what_is_ipv4_in_its_clothes(address: str) -> None:
    assert not is_allowed(address, ("::/0",))


def test_a_scope_id_is_refused_even_where_its_network_is_allowed() -> None:
    assert is_allowed("fe80::1", ("fe80::/10",))
    assert not is_allowed("fe80::1%1", ("fe80::/10",))


@given(st.sampled_from(PRIVATE).flatmap(lambda each: st.ip_addresses(network=each)))
def test_a_private_address_is_refused_in_each_form_that_holds_it(address: IPv4Address) -> None:
    number = int(address)
    forms = [
        IPv6Address(number),
        IPv6Address((0xFFFF << 32) + number),
        IPv6Address((0xFFFF << 48) + number),
        IPv6Address((0x64FF9B << 96) + number),
        IPv6Address((0x64FF9B0001 << 80) + number),
        IPv6Address((0x2002 << 112) + (number << 80) + 1),
        IPv6Address((0x20010000 << 96) + (number ^ 0xFFFFFFFF)),
    ]
    assert not is_allowed(address, ())
    assert not is_allowed(str(address), ())
    for form in forms:
        assert not is_allowed(form, ())
        assert not is_allowed(str(form), ())


@given(st.ip_addresses())
def test_what_passes_is_global_by_the_standard_librarys_own_tables(address: IPv4Address | IPv6Address) -> None:
    if is_allowed(address, ()):
        assert not address.is_loopback
        assert not address.is_link_local
        assert not address.is_multicast
        assert address.is_global or (isinstance(address, IPv6Address) and address.ipv4_mapped)


@given(st.ip_addresses(v=4))
def test_a_mapped_address_is_judged_as_the_one_that_it_maps(address: IPv4Address) -> None:
    assert is_allowed(IPv6Address(f"::ffff:{address}"), ()) == is_allowed(address, ())


class Resolver:
    """Answers each question for any name with the next of its answers, and repeats the last one."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *answers: list[str]) -> None:
        self.answers = list(answers)
        self.asked = 0
        monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", self.answer)

    async def answer(self, host: str, port: int, **_: object) -> list[tuple[object, ...]]:
        self.asked += 1
        addresses = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        return [
            (socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", (each, port))
            if ip_address(each).version == 4
            else (socket.AF_INET6, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", (each, port, 0, 0))
            for each in addresses
        ]


class Counting:
    """A server that counts who came."""

    def __init__(self) -> None:
        self.came = 0
        self.port = 0

    async def greet(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.came += 1
        writer.write(b"hello\n")
        writer.close()


@asynccontextmanager
async def counting(host: str = "127.0.0.1", port: int = 0) -> AsyncIterator[Counting]:
    counts = Counting()
    server = await asyncio.start_server(counts.greet, host, port)
    counts.port = server.sockets[0].getsockname()[1]
    async with server:
        yield counts


@pytest.fixture
def closed_port() -> Iterator[int]:
    """A port of loopback that nobody listens on, kept so."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield held.getsockname()[1]


async def hears(opened: socket.socket) -> bytes:
    with opened:
        return await asyncio.get_running_loop().sock_recv(opened, 100)


async def test_an_allowed_address_is_connected_to_by_a_socket_that_does_not_wait() -> None:
    async with counting() as server:
        opened = await connected("127.0.0.1", server.port, LOOPBACK, 5)
        assert not opened.getblocking()
        assert opened.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        assert opened.getpeername() == ("127.0.0.1", server.port)
        assert await hears(opened) == b"hello\n"


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::ffff:127.0.0.1", *FORMS_OF_LOOPBACK])
async def test_loopback_is_never_connected_to_whatever_its_form(host: str) -> None:
    async with counting() as server:
        with pytest.raises(ForbiddenAddress, match="allow_networks"):
            await connected(host, server.port, (), 5)
        assert server.came == 0


@pytest.mark.parametrize("host", ["2130706433", "0x7f.1", "0177.0.0.1"])
async def test_an_odd_form_is_judged_as_what_it_is_and_connected_to_where_that_is_allowed(host: str) -> None:
    async with counting() as server:
        assert await hears(await connected(host, server.port, LOOPBACK, 5)) == b"hello\n"


async def test_a_name_is_looked_up_once_and_the_address_that_was_checked_is_used(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with counting() as server:
        resolver = Resolver(monkeypatch, ["127.0.0.1"], ["127.0.0.2"])
        opened = await connected("rebinds.example", server.port, ("127.0.0.1/32",), 5)
        assert opened.getpeername()[0] == "127.0.0.1"
        assert await hears(opened) == b"hello\n"
        assert resolver.asked == 1


async def test_a_name_that_is_rebound_to_what_is_not_public_is_refused_at_its_next_connection(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with counting() as server:
        Resolver(monkeypatch, ["127.0.0.1"], ["127.0.0.2"], ["169.254.169.254", "::1", "::ffff:127.0.0.2"])
        (await connected("rebinds.example", server.port, ("127.0.0.1/32",), 5)).close()
        for _ in range(2):
            with pytest.raises(ForbiddenAddress) as refused:
                await connected("rebinds.example", server.port, ("127.0.0.1/32",), 5)
            assert "rebinds.example" in str(refused.value)
            assert "127." not in str(refused.value)
            assert "169.254" not in str(refused.value)


async def test_of_several_addresses_only_those_that_are_allowed_are_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    async with counting("127.0.0.1") as forbidden, counting("127.0.0.2", forbidden.port) as allowed:
        Resolver(monkeypatch, ["127.0.0.1", "::1", "127.0.0.2"])
        opened = await connected("several.example", allowed.port, ("127.0.0.2/32",), 5)
        assert await hears(opened) == b"hello\n"
        assert (forbidden.came, allowed.came) == (0, 1)


async def test_the_next_address_is_tried_where_one_refuses(monkeypatch: pytest.MonkeyPatch) -> None:
    async with counting("127.0.0.2") as server:
        Resolver(monkeypatch, ["127.0.0.1", "127.0.0.2"])
        assert await hears(await connected("two.example", server.port, LOOPBACK, 5)) == b"hello\n"


async def test_the_next_address_has_its_share_of_the_time_where_one_never_answers(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with counting("127.0.0.2") as server:
        loop = asyncio.get_running_loop()
        connect = loop.sock_connect

        async def hangs_at_the_first(opened: socket.socket, where: tuple[str, int]) -> None:
            if where[0] == "127.0.0.1":
                await asyncio.Event().wait()
            await connect(opened, where)

        Resolver(monkeypatch, ["127.0.0.1", "127.0.0.2"])
        monkeypatch.setattr(loop, "sock_connect", hangs_at_the_first)
        assert await hears(await connected("two.example", server.port, LOOPBACK, 1)) == b"hello\n"


async def test_a_connection_that_came_out_elsewhere_is_closed_and_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    async with counting("127.0.0.1") as server:
        loop = asyncio.get_running_loop()
        connect = loop.sock_connect
        led: list[socket.socket] = []

        async def led_elsewhere(opened: socket.socket, where: tuple[str, int]) -> None:
            led.append(opened)
            await connect(opened, ("127.0.0.1", where[1]))

        monkeypatch.setattr(loop, "sock_connect", led_elsewhere)
        with pytest.raises(ForbiddenAddress):
            await connected("127.0.0.2", server.port, ("127.0.0.2/32",), 5)
        assert [each.fileno() for each in led] == [-1]


async def test_what_refuses_is_an_error_of_the_system_that_names_no_address(closed_port: int) -> None:
    with pytest.raises(ConnectionRefusedError) as refused:
        await connected("localhost", closed_port, LOOPBACK, 5)
    assert "127." not in str(refused.value)


async def test_time_is_up_for_the_lookup_too(monkeypatch: pytest.MonkeyPatch) -> None:
    async def never(*_: object, **__: object) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", never)
    with pytest.raises(TimeoutError):
        await connected("slow.example", 25, LOOPBACK, 0.01)


@pytest.mark.parametrize("host", ["nobody.invalid", "a..b", "a" * 64 + ".example"])
async def test_a_name_that_is_none_is_an_error_of_the_system(host: str) -> None:
    with pytest.raises(OSError, match=r"."):
        await connected(host, 25, LOOPBACK, 5)


async def test_a_proxy_in_the_environment_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.9:9")
    async with counting() as server:
        opened = await connected("127.0.0.1", server.port, LOOPBACK, 5)
        assert opened.getpeername() == ("127.0.0.1", server.port)
        opened.close()
