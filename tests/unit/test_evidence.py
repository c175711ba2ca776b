"""A file of evidence is what was signed, byte for byte, or it is refused."""

from datetime import UTC, datetime

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st

from services.audit.evidence import Kept, Tampered, opened, sealed
from tests.scale import scaled

KEY = Ed25519PrivateKey.from_private_bytes(bytes(32))
RELEASE = "8f0a7a52-5a0c-5c3e-9a43-000000000001"
RECORDS = [Kept(n // 2, "alerts", 0, n, RELEASE, f'{{"n":{n},"text":"ä\u2028"}}') for n in range(6)]
FILE = b"".join(sealed(RELEASE, datetime(2027, 3, 1, tzinfo=UTC), reversed(RECORDS), KEY))
LINES = FILE.splitlines(keepends=True)


def is_refused(text: bytes) -> bool:
    """Whether it does not open."""
    try:
        opened(text, KEY.public_key())
    except Tampered as error:
        return bool(str(error))
    return False


def test_what_was_signed_opens_and_is_in_the_order_of_time() -> None:
    found = opened(FILE, KEY.public_key())
    assert (found.release_id, found.made_at, found.records) == (RELEASE, "2027-03-01T00:00:00Z", tuple(RECORDS))
    assert found.topics == {"alerts": 6}


def test_an_empty_file_is_refused_and_so_is_another_key() -> None:
    assert is_refused(b"")
    with pytest.raises(Tampered, match="not of this key"):
        opened(FILE, Ed25519PrivateKey.from_private_bytes(bytes([1] * 32)).public_key())


@settings(max_examples=scaled(400, 20_000))
@given(st.integers(0, len(FILE) - 1), st.integers(1, 255))
def test_any_byte_that_is_another_is_refused(place: int, mask: int) -> None:
    assert is_refused(FILE[:place] + bytes([FILE[place] ^ mask]) + FILE[place + 1 :])


@given(st.integers(0, len(FILE) - 1))
def test_a_file_cut_short_anywhere_is_refused(length: int) -> None:
    assert is_refused(FILE[:length])


@given(st.integers(0, len(FILE)), st.binary(min_size=1, max_size=3))
def test_anything_put_in_is_refused(place: int, more: bytes) -> None:
    assert is_refused(FILE[:place] + more + FILE[place:])


@given(st.permutations(range(len(LINES))), st.integers(1, len(LINES)))
def test_lines_left_out_moved_or_repeated_are_refused(order: list[int], kept: int) -> None:
    text = b"".join(LINES[number] for number in order[:kept])
    assert is_refused(text) or text == FILE
    assert is_refused(b"".join(LINES[:kept] + LINES[kept - 1 :]))


def test_a_seal_of_its_own_that_another_has_made_is_refused() -> None:
    forged = b"".join(sealed(RELEASE, datetime(2027, 3, 1, tzinfo=UTC), RECORDS[1:], Ed25519PrivateKey.generate()))
    assert is_refused(forged)
