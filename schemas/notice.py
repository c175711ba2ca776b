"""What a receipt says about a statement: warnings and reasons, each with a stable code."""

from typing import Literal

from schemas.values import Instant, Prose, Strict

Warning_ = Literal[
    "opening_clamped",
    "closing_clamped",
    "unknown_capability",
    "unknown_agency",
    "release_in_the_past",
    "short_notice",
    "already_open",
    "no_time_left",
    "release_reached",
    "after_the_end",
    "superseded",
    "late",
]
"""Codes of warnings: the statement stands, and this is what it means."""

Refusal = Literal[
    "not_json",
    "not_an_event",
    "invalid",
    "too_large",
    "wrong_origin",
    "unknown_participant",
    "offboarded",
    "id_reused",
    "stale",
    "secret_in_access",
    "exercise_changed",
    "unknown_release",
    "unknown_alert",
    "illegal_order",
    "too_late",
]
"""Codes of refusals. None of them judges what a lab says: only form, origin, order, secrets, a changed exercise."""


class Warned(Strict):
    """A warning: what applies instead, in one sentence, with the instant where there is one."""

    code: Warning_
    message: Prose
    field: str | None = None
    applies: Instant | None = None


class Refused(Strict):
    """A reason for a refusal: the field, the rule and what would be right."""

    code: Refusal
    message: Prose
    field: str | None = None
