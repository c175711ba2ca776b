"""The acknowledgement link's token: what is signed opens, whatever else does not."""

import base64
import json
import string
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.alert import AlertIssued
from services.gateway.door.__main__ import check
from services.kernel.link import LASTS, PATH, Link, link_to, read, written
from services.kernel.link_key import link_key
from services.kernel.settings import DoorSettings, Settings, SettingsError
from tests.simulation.world import World

KEY = b"k" * 32
AGENCIES = ("cisa", "cisa-ics", "dod", "treasury")
ADDRESS = "https://herald.example"
ALPHABET = string.ascii_letters + string.digits + "-_"

ids = st.uuids().map(str)
instants = st.integers(946684800, 4102444799).map(lambda seconds: datetime.fromtimestamp(seconds, UTC))
links = st.builds(Link, ids, ids, st.integers(1, 2**32 - 1), instants)
agencies = st.sampled_from(AGENCIES)
keys = st.binary(min_size=32, max_size=64)


def token(link: Link, agency: str, key: bytes = KEY) -> str:
    return written(link, agency, key, ADDRESS).removeprefix(f"{ADDRESS}{PATH}")


@given(links, agencies, keys)
def test_what_was_signed_opens_for_its_agency_alone(link: Link, agency: str, key: bytes) -> None:
    signed = token(link, agency, key)
    assert read(signed, AGENCIES, key) == (agency, link)
    assert read(signed, [one for one in AGENCIES if one != agency], key) is None


@given(links, agencies, st.data())
def test_one_character_that_is_changed_dropped_or_added_and_it_opens_nothing(
    link: Link, agency: str, data: st.DataObject
) -> None:
    signed = token(link, agency)
    place = data.draw(st.integers(0, len(signed) - 1))
    other = data.draw(st.sampled_from(ALPHABET.replace(signed[place], "")))
    for forged in (
        signed[:place] + other + signed[place + 1 :],
        signed[:place] + signed[place + 1 :],
        signed[:place] + other + signed[place:],
        signed + "=",
        signed.swapcase(),
    ):
        assert read(forged, AGENCIES, KEY) is None


@given(links, agencies, keys.filter(lambda key: key != KEY))
def test_another_key_signs_nothing_that_opens(link: Link, agency: str, key: bytes) -> None:
    assert read(token(link, agency, key), AGENCIES, KEY) is None


@given(links, links, agencies)
def test_the_signature_of_one_window_fits_no_other(one: Link, other: Link, agency: str) -> None:
    first, second = (base64.urlsafe_b64decode(token(link, agency)) for link in (one, other))
    spliced = base64.urlsafe_b64encode(second[:-16] + first[-16:]).decode()
    assert read(spliced, AGENCIES, KEY) in (None, (agency, one))


@given(st.one_of(st.text(max_size=100), st.text(ALPHABET, min_size=76, max_size=76)))
def test_no_text_of_anybodys_choosing_opens_or_breaks_anything(text: str) -> None:
    assert read(text, AGENCIES, KEY) is None


@given(links, agencies)
def test_a_link_says_nothing_of_its_agency_and_is_one_word(link: Link, agency: str) -> None:
    signed = token(link, agency)
    raw = base64.urlsafe_b64decode(signed)
    assert agency.encode() not in raw
    assert set(signed) <= set(ALPHABET)
    assert UUID(bytes=raw[1:17]) == UUID(link.alert_id)


def test_a_link_is_bound_to_the_alerts_window_and_lasts_thirty_days() -> None:
    alert = AlertIssued.model_validate_json(json.dumps(World().announce().alerts("cyber")[0]))
    now = datetime(2027, 3, 1, 12, 0, 0, 999999, tzinfo=UTC)
    link = link_to(alert, now)
    assert (link.alert_id, link.release_id, link.life) == (alert.alert_id, alert.release_id, 1)
    assert link.expires_at == now.replace(microsecond=0) + timedelta(days=30)
    assert timedelta(days=30) == LASTS


def test_the_key_is_made_once_for_this_user_alone_or_read_from_the_file_that_is_named(tmp_path: Path) -> None:
    settings = Settings(data=tmp_path / "data")
    made = link_key(settings)
    assert len(made) >= 32
    assert link_key(settings) == made
    assert (tmp_path / "data" / "link.key").stat().st_mode & 0o777 == 0o600
    named = tmp_path / "shared.key"
    named.write_bytes(b"s" * 40 + b"\n")
    assert link_key(Settings(door=DoorSettings(link_key_file=named))) == b"s" * 40


def test_a_key_that_is_too_short_or_not_there_is_said_as_that(tmp_path: Path) -> None:
    (tmp_path / "short").write_text("secret")
    for name, said in (("short", "holds 6 bytes"), ("none", "cannot read")):
        with pytest.raises(SettingsError, match=said):
            link_key(Settings(door=DoorSettings(link_key_file=tmp_path / name)))


@pytest.mark.parametrize(
    ("door", "address"),
    [
        (DoorSettings(port=8080), "http://127.0.0.1:8080"),
        (DoorSettings(host="::1", port=8080, tls_certfile=Path("x")), "https://[::1]:8080"),
        (DoorSettings(port=8080, public_url="https://herald.example/early/"), "https://herald.example/early"),
        (DoorSettings(host="0.0.0.0", port=8080), None),  # noqa: S104
        (DoorSettings(), None),
    ],
)
def test_links_begin_with_the_public_address_or_that_of_a_loopback_door(door: DoorSettings, address: str) -> None:
    assert door.address == address


def test_links_that_would_travel_in_the_clear_are_refused() -> None:
    check(Settings(door=DoorSettings(public_url="http://localhost:8080")))
    with pytest.raises(SettingsError, match="use https"):
        check(Settings(door=DoorSettings(public_url="http://herald.example")))
