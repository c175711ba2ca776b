"""What `herald registry check` refuses in endpoints, quiet hours, networks and the mail relay."""

import json
from typing import Any

import pytest

from schemas import registry_file
from schemas.address import is_allowed, literal
from tests.unit.test_files import problems

WEBHOOK = {"channel": "webhook", "tier": "watch", "url": "https://desk.cisa.example/h", "secrets": ["file:/run/s"]}
MAIL = {"channel": "email", "tier": "watch", "to": "desk@cisa.example"}
CHAT = {"channel": "slack", "tier": "watch", "url": "env:CHAT"}
RELAY = {"host": "relay.example", "sender": "herald@relay.example"}
DESK = "agencies.cisa.endpoints.desk"


def written(endpoint: dict[str, Any] | None = None, *, agency: Any = (), **more: Any) -> str:
    """A registry in JSON, which is YAML, too: all of it stands on line 1."""
    cisa = {"name": "CISA", **({"endpoints": {"desk": endpoint}} if endpoint else {}), **dict(agency)}
    return json.dumps({"agencies": {"cisa": cisa}} | more)


def test_what_works_is_taken() -> None:
    endpoints = {"webhook": WEBHOOK, "email": MAIL, "slack": CHAT | {"tier": "lead"}}
    agency = {
        "tiers": ["watch", "lead"],
        "endpoints": endpoints,
        "quiet_hours": {"begins": "22:00", "ends": "07:00"},
        "time_zone": "Europe/Vienna",
    }
    found = registry_file.load(written(agency=agency, mail=RELAY, allow_networks=["10.0.0.0/8"]))
    assert list(found.agencies["cisa"].endpoints) == ["webhook", "email", "slack"]
    assert found.agencies["cisa"].endpoints["webhook"].kinds  # those left out are of no concern


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (written(WEBHOOK, agency={"tiers": ["watch", "lead"]}), "agencies.cisa.tiers: no channel for a tier: lead has"),
        (written(WEBHOOK | {"tier": "wach"}), f"{DESK}.tier: wach is no tier of this agency; did you mean watch?"),
        (written(MAIL), f"{DESK}: is told by e-mail, but there is no relay; say under mail:"),
        (written(WEBHOOK | {"kinds": ["announced"]}), f"{DESK}.kinds: the agency does not take announced; add it"),
        (
            written(agency={"quiet_hours": {"begins": "22:00", "ends": "22:00"}}),
            "agencies.cisa.quiet_hours: begin and end at the same time; write two times",
        ),
        (written(WEBHOOK, agency={"time_zone": "Mars/Base"}), "agencies.cisa.time_zone: Mars/Base is no time zone"),
        (
            written(WEBHOOK | {"secrets": ["file:/run/s", "file:/run/s"]}),
            f"{DESK}.secrets.1: is the secret of {DESK}.secrets.0 too; each webhook has secrets of its own",
        ),
        (
            written(agency={"endpoints": {"a": WEBHOOK, "b": WEBHOOK}}),
            "endpoints.b.secrets.0: is the secret of agencies.cisa.endpoints.a.secrets.0 too",
        ),
        (written(WEBHOOK | {"url": "http://desk.example/"}), f"{DESK}.url: is plain http, which goes only to"),
        (written(WEBHOOK | {"url": "https://desk.example:99999/"}), f"{DESK}.url: is no web address; write https://"),
        (written(WEBHOOK | {"url": "https://①②⑦.0.0.1/"}), f"{DESK}.url: has a host that is not written plainly"),
        (written(WEBHOOK | {"url": "https://127%2e0.0.1/"}), f"{DESK}.url: has a host that is not written plainly"),
        (written(WEBHOOK | {"url": "https://a@desk.example/"}), f"{DESK}.url: must be a web address"),
        (written(WEBHOOK | {"url": "https://desk.example/?token=abc123xyz"}), f"{DESK}.url: seems to hold a password"),
        (written(WEBHOOK | {"headers": {"authorization": "x"}}), f"{DESK}.headers.authorization: holds a secret"),
        (written(WEBHOOK | {"headers": {"Webhook-Id": "x"}}), f"{DESK}.headers.Webhook-Id: is set by Herald itself"),
        (written(WEBHOOK | {"headers": {"X-A": "1", "x-a": "2"}}), f"{DESK}.headers.x-a: stands twice"),
        (written(mail=RELAY | {"host": "10.1.2.3"}), "mail.host: is no public address; name another, or its network"),
        (written(mail=RELAY | {"security": "none"}), "mail.security: none sends mail in the clear, which goes only"),
        (written(mail=RELAY | {"username": "h"}), "mail.username: stands without a password; give both, or neither"),
    ],
)
def test_what_cannot_work_is_refused_with_field_remedy_and_line(text: str, said: str) -> None:
    found = [one for one in problems(text, registry_file.load) if said in one]
    assert found, problems(text, registry_file.load)
    assert found[0].endswith("(line 1)")


@pytest.mark.parametrize(
    ("endpoint", "said"),
    [
        ({"tier": "watch"}, f"{DESK}: channel must be one of webhook, email, slack"),
        (WEBHOOK | {"channel": "pager"}, f"{DESK}: channel must be one of webhook, email, slack"),
        (WEBHOOK | {"urll": 1}, f"{DESK}.urll: is unknown; did you mean url?"),
        (MAIL | {"to": "CISA <desk@cisa.example>"}, f"{DESK}.to: must be one mail address"),
        (WEBHOOK | {"headers": {"X-A": "a\r\nX-B: b"}}, f"{DESK}.headers.X-A: must be 1 to 200 printable ASCII"),
        (WEBHOOK | {"secrets": []}, f"{DESK}.secrets: "),
    ],
)
def test_what_an_endpoint_may_hold_is_said_without_the_validators_own_steps(
    endpoint: dict[str, Any], said: str
) -> None:
    (found,) = problems(written(endpoint, mail=RELAY), registry_file.load)
    assert found.startswith(said)


@pytest.mark.parametrize("name", ["desk", "webhook", "email"])
def test_an_endpoint_may_be_called_as_a_channel_is(name: str) -> None:
    text = written(agency={"endpoints": {name: WEBHOOK | {"url": "ftp://desk.example"}}})
    assert problems(text, registry_file.load)[0].startswith(
        f"agencies.cisa.endpoints.{name}.url: must be a web address"
    )


def test_a_secret_written_instead_of_a_reference_is_refused_and_not_shown() -> None:
    (found,) = problems(written(WEBHOOK | {"secrets": ["whsec_c2VjcmV0IQ"]}), registry_file.load)
    assert found == (
        f"{DESK}.secrets.0: must say where the secret stands: file:/absolute/path, or env:NAME; "
        "never the secret itself (line 1)"
    )


NOT_PUBLIC = [
    *["127.0.0.1", "2130706433", "0177.0.0.1", "0x7f.1", "0x7f000001", "127.1", "127.0.0.1.", "localhost"],
    *["LOCALHOST", "a.localhost", "localhost.", "10.1.2.3", "192.168.0.1", "172.31.0.1", "169.254.169.254"],
    *["0xa9fea9fe", "2852039166", "100.64.0.1", "0.1.2.3", "0", "224.0.0.1", "255.255.255.255", "168.63.129.16"],
    *["[::1]", "[::]", "[::ffff:127.0.0.1]", "[::ffff:a9fe:a9fe]", "[::127.0.0.1]", "[fe80::1]", "[fd00::1]"],
    *["[64:ff9b::7f00:1]", "[2002:7f00:1::]", "[2001:db8::1]", "[fec0::1]", "[ff02::1]", "[64:ff9b:1::1]"],
]


@pytest.mark.parametrize("host", NOT_PUBLIC)
def test_an_address_that_is_not_public_is_refused_in_every_form(host: str) -> None:
    (found,) = problems(written(WEBHOOK | {"url": f"https://{host}:8443/x"}), registry_file.load)
    assert found.startswith(f"{DESK}.url: is no public address; name another, or its network in allow_networks")


@pytest.mark.parametrize(
    "host", ["desk.example", "8.8.8.8", "134744072", "[2606:4700::1111]", "[::ffff:8.8.8.8]", "[64:ff9b::808:808]"]
)
def test_names_and_public_addresses_are_taken(host: str) -> None:
    registry_file.load(written(WEBHOOK | {"url": f"https://{host}/x"}))


@pytest.mark.parametrize(
    ("host", "network"),
    [
        ("127.0.0.1", "127.0.0.0/8"),
        ("localhost", "127.0.0.1/32"),
        ("0x7f.1", "127.0.0.0/8"),
        ("[::1]", "::1/128"),
        ("[::ffff:10.1.2.3]", "10.0.0.0/8"),
        ("[fd00::1]", "fd00::/8"),
        ("8.8.8.8", "8.8.8.0/24"),
    ],
)
def test_in_a_network_that_is_named_there_may_be_endpoints_also_by_plain_http(host: str, network: str) -> None:
    plain = WEBHOOK | {"url": f"http://{host}:8080/x"}
    relay = RELAY | {"host": host.strip("[]"), "security": "none"}
    registry_file.load(written(plain, mail=relay, allow_networks=[network]))
    elsewhere = problems(written(plain, mail=relay, allow_networks=["192.168.7.0/24"]), registry_file.load)
    assert [one.partition(":")[0] for one in elsewhere] == [
        f"{DESK}.url",
        "mail.security" if host[0] == "8" else "mail.host",
    ]


def test_what_was_applied_may_be_applied_again_as_it_is_shown() -> None:
    found = registry_file.load(written(WEBHOOK))
    assert registry_file.load(found.model_dump_json(exclude_none=True)) == found


def test_a_name_may_lead_into_a_network_that_is_named() -> None:
    relay = RELAY | {"host": "relay", "security": "none"}
    plain = WEBHOOK | {"url": "http://desk:8080/x"}
    registry_file.load(written(plain, mail=relay, allow_networks=["10.0.0.0/8"]))


def test_what_is_no_address_is_looked_up_when_it_is_connected_to() -> None:
    assert literal("desk.example") is None
    assert literal("1.2.3.4.5") is None
    assert not is_allowed("desk.example", ("10.0.0.0/8",))
