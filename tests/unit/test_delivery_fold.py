"""What `herald deliveries` says of a delivery, folded from what two topics hold, in whichever order they are read."""

from datetime import UTC, datetime, timedelta
from itertools import permutations
from typing import Any

import pytest

from schemas.alert import Content
from schemas.delivery import (
    DeliveryAbandoned,
    DeliveryFailed,
    DeliveryRequested,
    DeliveryRetried,
    DeliverySucceeded,
    EndpointDisabled,
    EndpointPaused,
    EndpointRecovered,
    EndpointResumed,
)
from schemas.endpoint import Webhook
from schemas.envelope import Data, encode
from services.cli.delivery_fold import Account, Status
from tests.unit.endpoint_world import START, registry, requested

SECOND = timedelta(seconds=1)
ASKED = requested(1, 1, START)
WHERE: dict[str, Any] = {"agency": "cisa", "endpoint": "hook"}
ABOUT: dict[str, Any] = WHERE | {
    "channel": "webhook",
    "delivery_id": ASKED.delivery_id,
    **{name: getattr(ASKED.alert, name) for name in ("release_id", "alert_id", "sequence", "kind", "exercise")},
}
RETRY_AT = START + timedelta(minutes=5)


def failed(second: int) -> DeliveryFailed:
    at = START + second * SECOND
    return DeliveryFailed(**ABOUT, attempts=1, at=at, reason="timeout", seconds=15.0, retry_at=RETRY_AT)


def taken(second: int) -> DeliverySucceeded:
    return DeliverySucceeded(
        **ABOUT, attempts=1, at=START + second * SECOND, requested_at=START, seconds=0.2, answer="200 OK"
    )


def abandoned(second: int, **why: Any) -> DeliveryAbandoned:
    return DeliveryAbandoned(**ABOUT, attempts=1, at=START + second * SECOND, **why)


def account(*said: Data, begins: str | None = None) -> Account:
    """Of records that were appended a second after each other; the topics are read one after the other."""
    found = Account(begins)
    for topic in ("delivery-outcomes", "deliveries"):
        for number, data in enumerate(said):
            if topic in data.topics():
                at = START + number * SECOND
                value = encode(data.stamped(cause=str(number), ordinal=0, source="/services/test", time=at))
                take = found.ask if topic == "deliveries" else found.settle
                take(value, int(at.timestamp() * 1000))
    return found


REFUSED = abandoned(1, reason="refused", failure="gone", seconds=0.3, answer="410")


@pytest.mark.parametrize(
    ("said", "status", "attempts"),
    [
        ((ASKED,), "pending", 0),
        ((ASKED, failed(1)), "failing", 1),
        ((ASKED, failed(1), taken(2)), "taken", 2),
        ((ASKED, failed(1), REFUSED), "abandoned", 2),
        ((ASKED, abandoned(1, reason="superseded")), "abandoned", 0),
        ((ASKED, REFUSED, ASKED), "pending", 1),
        ((ASKED, REFUSED, ASKED, taken(3)), "taken", 2),
        ((ASKED, taken(1), ASKED, failed(3)), "failing", 2),
        ((taken(1),), "taken", 1),
    ],
)
def test_a_delivery_is_as_its_last_outcome_says_unless_it_was_asked_for_since(
    said: tuple[Data, ...], status: str, attempts: int
) -> None:
    one = account(*said).deliveries[ASKED.delivery_id]
    assert (one.status, one.attempts) == (status, attempts)
    assert (one.agency, one.endpoint, one.kind) == ("cisa", "hook", "opened")


def test_the_next_try_is_as_planned_or_at_an_operators_word_but_not_within_a_pause() -> None:
    now, until = START + 9 * SECOND, START + timedelta(hours=8)
    retried = DeliveryRetried(**WHERE, delivery_id=ASKED.delivery_id)
    paused, resumed = EndpointPaused(**WHERE, until=until), EndpointResumed(**WHERE)
    for said, wanted in (
        ((ASKED,), START),
        ((ASKED, failed(1)), RETRY_AT),
        ((ASKED, failed(1), retried), START + 2 * SECOND),
        ((ASKED, retried, failed(2)), RETRY_AT),
        ((ASKED, paused), until),
        ((ASKED, failed(1), retried, paused), until),
        ((ASKED, failed(1), paused, resumed), RETRY_AT),
        ((ASKED, taken(1), paused), None),
    ):
        found = account(*said)
        assert found.next_try(found.deliveries[ASKED.delivery_id], now) == wanted, said
    over = account(ASKED, paused)
    assert over.next_try(over.deliveries[ASKED.delivery_id], until + SECOND) == START


def test_an_endpoint_is_disabled_until_it_has_recovered_or_is_resumed() -> None:
    how: dict[str, Any] = WHERE | {"channel": "webhook", "at": START, "since": START}
    disabled, recovered, resumed = EndpointDisabled(**how), EndpointRecovered(**how), EndpointResumed(**WHERE)
    for said, wanted in (
        ((ASKED,), None),
        ((ASKED, disabled), "2027-03-01T12:00:00Z"),
        ((resumed, ASKED, disabled), "2027-03-01T12:00:00Z"),
        ((ASKED, disabled, resumed), None),
        ((ASKED, disabled, recovered), None),
    ):
        assert account(*said).disabled_at("cisa/hook") == wanted, said


def test_only_what_begins_as_said_is_kept_and_a_later_alert_of_the_release_is_known_all_the_same() -> None:
    later, other = requested(1, 2, START), requested(2, 3, START)
    for said in permutations((ASKED, later, other)):
        found = account(*said, begins=ASKED.delivery_id[:13])
        (one,) = found.deliveries.values()
        assert one.request is not None
        assert found.newer(one) == later.delivery_id
    alone = account(ASKED, other)
    assert alone.newer(alone.deliveries[ASKED.delivery_id]) is None
    assert alone.deliveries[ASKED.delivery_id].request is None


def test_what_is_asked_for_again_has_its_id_waits_for_nothing_and_says_no_more_than_may_be_said_now() -> None:
    content = Content.model_validate(
        {
            "lab": "aurora-labs",
            "reference": "halo-4",
            "model": {"name": "Halo 4"},
            "trusted_partner_release_at": START,
            "window": {"status": "open"},
        },
        strict=False,
    )
    full = ASKED.model_copy(update={"alert": ASKED.alert.model_copy(update={"content": content}), "routine": True})
    red = full.model_copy(update={"alert": full.alert.model_copy(update={"tlp": "TLP:RED"})})
    endpoints, now = registry().agencies["cisa"].endpoints, datetime(2027, 3, 2, tzinfo=UTC)
    hook = endpoints["hook"]
    assert isinstance(hook, Webhook)
    thin = hook.model_copy(update={"content": "thin"})
    assert full.again(hook, now) == full.model_copy(update={"routine": False, "requested_at": now})
    for one, endpoint in ((full, thin), (full, endpoints["desk"]), (red, hook)):
        again: DeliveryRequested = one.again(endpoint, now)
        assert (again.delivery_id, again.alert.content) == (ASKED.delivery_id, None)


def test_what_is_shown_names_every_attempt_and_what_ended_it() -> None:
    one = account(ASKED, failed(1), REFUSED).deliveries[ASKED.delivery_id]
    shown = [outcome.fields for outcome in one.outcomes]
    assert [(o["outcome"], o["reason"], o["seconds"], o["answer"]) for o in shown] == [
        ("failed", "timeout", 15.0, None),
        ("abandoned", "gone", 0.3, "410"),
    ]
    assert shown[1]["outcome"] == Status.ABANDONED
    assert shown[1]["abandoned_as"] == "refused"
