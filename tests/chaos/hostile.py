"""Records that no lab should send, from a seed: each kind of malice in turn, with random details."""

import json
import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from tests.simulation.world import release


@dataclass(frozen=True, slots=True)
class Hostile:
    """One record. `readable`: it can be decoded, so it is refused without becoming a dead letter."""

    kind: str
    value: bytes | None
    readable: bool
    headers: tuple[tuple[str, bytes], ...] = ()


def _event(number: int, **changes: Any) -> dict[str, Any]:
    base = {"specversion": "1.0", "id": f"h{number}", "source": "/labs/lab-a", "type": "herald.release.announced.v1"}
    return base | {"data": release()} | changes


def records(seed: int, count: int) -> Iterator[Hostile]:
    """So many records, none of which may be let in."""
    dice = random.Random(seed)
    for number in range(count):
        yield _ONE_OF_EACH[number % len(_ONE_OF_EACH)](dice, number)


def _text(value: Any) -> bytes:
    return json.dumps(value).encode()


def _truncated(dice: random.Random, number: int) -> Hostile:
    whole = _text(_event(number))
    return Hostile("truncated", whole[: dice.randrange(len(whole) - 1)], readable=False)


def _wrong_type(dice: random.Random, number: int) -> Hostile:
    name = dice.choice(["reference", "model", "audience", "trusted_partner_release_at", "exercise"])
    value: Any = dice.choice([None, 1, 1.5, [], {}, [[]], "\u202e" * 80])
    data = release() | {name: value}
    return Hostile("wrong type", _text(_event(number, data=data)), readable=True)


def _deep(dice: random.Random, number: int) -> Hostile:
    return Hostile("deep", dice.choice([b"[", b'{"a":']) * dice.randrange(2_000, 20_000), readable=False)


def _huge_number(dice: random.Random, number: int) -> Hostile:
    digits = dice.choice([b"9" * dice.randrange(5_000, 20_000), b"1e999999", b"-1e400"])
    readable = digits[-1:] != b"9" or len(digits) < 100
    return Hostile("huge number", b'{"id": "h%d", "n": %s}' % (number, digits), readable=readable)


def _bad_utf8(dice: random.Random, number: int) -> Hostile:
    return Hostile("bad UTF-8", _text(_event(number)) + bytes([dice.choice([0x80, 0xC0, 0xFF])]), readable=False)


def _surrogate(dice: random.Random, number: int) -> Hostile:
    return Hostile("lone surrogate", b'{"id": "h%d\\ud8%02x"}' % (number, dice.randrange(256)), readable=False)


def _duplicate_key(dice: random.Random, number: int) -> Hostile:
    return Hostile("duplicate key", b'{"id": "h%d", "id": "h%d"}' % (number, dice.randrange(9)), readable=False)


def _wrong_origin(dice: random.Random, number: int) -> Hostile:
    source = dice.choice(["/labs/lab-b", "/agencies/lab-a", "/services/gateway", "lab-a", "/labs/lab-a/"])
    return Hostile("wrong origin", _text(_event(number, source=source)), readable=True)


def _over_long(dice: random.Random, number: int) -> Hostile:
    data = release() | {"handling": "x" * dice.choice([4_001, 100_000, 300_000])}
    return Hostile("over-long", _text(_event(number, data=data)), readable=True)


def _null(dice: random.Random, number: int) -> Hostile:
    return Hostile("null", dice.choice([None, b"", b"null", b"\x00" * 20]), readable=False)


def _headers(dice: random.Random, number: int) -> Hostile:
    many = tuple((f"h{n}", b"x" * dice.randrange(200)) for n in range(dice.randrange(1, 500)))
    return Hostile("headers", _text(_event(number, specversion="0.3")), readable=True, headers=many)


_ONE_OF_EACH = (
    _truncated,
    _wrong_type,
    _deep,
    _huge_number,
    _bad_utf8,
    _surrogate,
    _duplicate_key,
    _wrong_origin,
    _over_long,
    _null,
    _headers,
)
