"""The values that events are made of: ids, instants, durations and bounded text."""

import re
from datetime import UTC, datetime, timedelta
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    PlainSerializer,
    StringConstraints,
    WithJsonSchema,
)

EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)
LATEST = datetime(2100, 1, 1, tzinfo=UTC)
MAX_EVENT_BYTES = 256 * 1024
MAX_REGISTRY_BYTES = 8 * 1024 * 1024

# Unicode's categories Cc and Cs, and for a line Zl and Zp as well.
_UNFIT_IN_A_LINE = re.compile("[\\x00-\\x1f\\x7f-\\x9f\\u2028\\u2029\\ud800-\\udfff]")
_UNFIT_IN_PROSE = re.compile("[\\x00-\\x08\\x0b-\\x1f\\x7f-\\x9f\\ud800-\\udfff]")
# Patterns are written for JSON Schema too: explicit digits, since \d takes other scripts' digits in Python.
_INSTANT = re.compile(
    r"^[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ][0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]+)?)?([Zz]|[+-][0-9]{2}:[0-9]{2})$"
)
_DURATION = re.compile(r"^P(?!$)([0-9]+W|([0-9]+D)?(T(?=[0-9])([0-9]+H)?([0-9]+M)?([0-9]+(\.[0-9]+)?S)?)?)$")
_NO_INSTANT = "must be an RFC 3339 time with a zone, such as 2027-03-01T15:00:00Z"
_LINE_PATTERN = r"^[^\u0000-\u001f\u007f-\u009f\u2028\u2029]*$"
_PROSE_PATTERN = r"^[^\u0000-\u0008\u000b-\u001f\u007f-\u009f]*$"


class Strict(BaseModel):
    """A value of the contract: immutable, no coercion, unknown fields refused by name.

    Internal readers pass `extra="ignore"` when they validate, so that a field added later does not stop them.
    """

    # What a lab or a person wrote never stands in an error's text, and so in no log.
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, hide_input_in_errors=True)

    # These two do what pydantic's do at half the cost: here are no aliases, extras or private attributes. Type checkers
    # are shown pydantic's, whose arguments they know.
    if not TYPE_CHECKING:

        @classmethod
        def model_construct(cls, _fields_set=None, **values):
            """A value of parts that are known to be valid. Raises TypeError where one is missing, or is none of it."""
            blank, required = _blank(cls)
            fields = {**blank, **values}
            if len(fields) != len(blank) or not values.keys() >= required:
                raise TypeError(f"{cls.__name__} is not made of {sorted(values)}")
            return _made(cls, fields, set(values) if _fields_set is None else _fields_set)

        def model_copy(self, *, update=None, deep=False):
            """The same with other parts, which are known to be valid."""
            if deep or not update:
                return super().model_copy(update=update, deep=deep)
            held, (names, _) = self.__dict__, _blank(type(self))
            if len(held) > len(names):  # what was worked out from its parts is not handed on
                held = {name: held[name] for name in names}
            return _made(type(self), {**held, **update}, {*self.__pydantic_fields_set__, *update})


@cache
def _blank(kind: type[Strict]) -> tuple[dict[str, Any], frozenset[str]]:
    """What a value of this kind holds where nothing is said, in the order of its fields; and what must be said."""
    fields = kind.model_fields.items()
    required = frozenset(name for name, field in fields if field.is_required())
    return {name: field.get_default(call_default_factory=True) for name, field in fields}, required


_set = object.__setattr__  # a frozen value refuses its own


def _made(kind: type[Any], fields: dict[str, Any], stated: set[str]) -> Any:
    made = object.__new__(kind)
    _set(made, "__dict__", fields)
    _set(made, "__pydantic_fields_set__", stated)
    _set(made, "__pydantic_extra__", None)
    _set(made, "__pydantic_private__", None)
    return made


def _instant(value: Any) -> datetime:
    if isinstance(value, str):
        return _read_instant(value)
    if not isinstance(value, datetime):
        raise ValueError(_NO_INSTANT)
    return _in_range(value)


@lru_cache(4096)  # the dates of a release stand in every event about it
def _read_instant(text: str) -> datetime:
    if not _INSTANT.fullmatch(text):
        raise ValueError(_NO_INSTANT)
    try:
        value = datetime.fromisoformat(text.upper())
    except ValueError:
        raise ValueError("must be a date and time that exist, such as 2027-03-01T15:00:00Z") from None
    return _in_range(value)


def _in_range(value: datetime) -> datetime:
    if value.tzinfo is None:
        raise ValueError("must carry a time zone")
    try:
        value = value.astimezone(UTC)
    except OverflowError:
        raise ValueError("must lie between 2000 and 2100") from None
    if not EARLIEST <= value < LATEST:
        raise ValueError("must lie between 2000 and 2100")
    return value


@lru_cache(4096)
def rfc3339(value: datetime) -> str:
    """An instant as RFC 3339 in UTC, with no more digits than it needs."""
    return value.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _duration(value: Any) -> timedelta:
    return value if isinstance(value, timedelta) else _read_duration(value if isinstance(value, str) else "")


@lru_cache(4096)
def _read_duration(text: str) -> timedelta:
    if not _DURATION.fullmatch(text):
        raise ValueError("must be an ISO 8601 duration of weeks, days, hours, minutes or seconds, such as P14D or PT4H")
    parts = {unit: float(number) for number, unit in re.findall(r"([0-9]+(?:\.[0-9]+)?)([WDHMS])", text)}
    try:
        return timedelta(
            weeks=parts.get("W", 0),
            days=parts.get("D", 0),
            hours=parts.get("H", 0),
            minutes=parts.get("M", 0),
            seconds=parts.get("S", 0),
        )
    except OverflowError:
        raise ValueError("must be shorter than a hundred years") from None


@lru_cache(4096)
def iso8601(value: timedelta) -> str:
    """A duration, not negative, as ISO 8601 in days, hours, minutes and seconds: `P14D`, `PT4H`, `P1DT30M`."""
    minutes, whole = divmod(value.seconds, 60)
    hours, minutes = divmod(minutes, 60)
    seconds = f"{whole}.{value.microseconds:06d}".rstrip("0").rstrip(".")
    time = "".join(f"{n}{u}" for n, u in ((hours, "H"), (minutes, "M"), (seconds, "S")) if n not in {0, "0"})
    text = "P" + (f"{value.days}D" if value.days else "") + (f"T{time}" if time else "")
    return text if text != "P" else "PT0S"


def _bounded_duration(value: timedelta) -> timedelta:
    if value >= timedelta(days=36500):
        raise ValueError("must be shorter than a hundred years")
    return value


def _single_line(value: str) -> str:
    if _UNFIT_IN_A_LINE.search(value):
        raise ValueError("must be one line without control characters")
    return value


def _prose(value: str) -> str:
    if _UNFIT_IN_PROSE.search(value):
        raise ValueError("must have no control characters other than line feed and tab")
    return value


Instant = Annotated[
    datetime,
    BeforeValidator(_instant),
    PlainSerializer(rfc3339, return_type=str, when_used="json"),
    WithJsonSchema(
        {
            "type": "string",
            "format": "date-time",
            "pattern": _INSTANT.pattern,
            "description": "RFC 3339 with a zone, years 2000 to 2099; Herald writes UTC",
        }
    ),
]
Duration = Annotated[
    timedelta,
    BeforeValidator(_duration),
    AfterValidator(_bounded_duration),
    PlainSerializer(iso8601, return_type=str, when_used="json"),
    WithJsonSchema({"type": "string", "format": "duration", "pattern": _DURATION.pattern}),
]


def _opening(value: Any) -> Any:
    if isinstance(value, timedelta) or (isinstance(value, str) and value.startswith("P")):
        return _bounded_duration(_duration(value))
    try:
        return _instant(value)
    except ValueError as error:
        raise ValueError(f"{error}; or an ISO 8601 duration before the release, such as P14D") from None


def _written_opening(value: datetime | timedelta) -> str:
    return iso8601(value) if isinstance(value, timedelta) else rfc3339(value)


Opening = Annotated[
    datetime | timedelta,
    BeforeValidator(_opening),
    PlainSerializer(_written_opening, return_type=str, when_used="json"),
    WithJsonSchema(
        {
            "type": "string",
            "anyOf": [{"pattern": _INSTANT.pattern}, {"pattern": _DURATION.pattern}],
            "description": "RFC 3339 time with a zone, or an ISO 8601 duration before the release, such as P14D",
        }
    ),
]

ParticipantId = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9-]{1,30}$")]
Reference = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
Capability = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9-]{0,63}$")]
Tier = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9-]{0,30}$")]
Uuid = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}$")]
Digest = Annotated[str, StringConstraints(pattern=r"^sha(256:[0-9a-f]{64}|512:[0-9a-f]{128})$")]
HttpsUrl = Annotated[
    str, StringConstraints(pattern=r"^https://[^\s/$.?#][^\s]*$", max_length=2000), AfterValidator(_single_line)
]
IssuerUrl = Annotated[
    str,
    StringConstraints(
        pattern=r"^(https://[A-Za-z0-9.-]+|http://(localhost|127\.0\.0\.1|\[::1\]))(:[0-9]{1,5})?(/[A-Za-z0-9._~/-]*)?$",
        max_length=500,
    ),
]
Line = Annotated[
    str,
    StringConstraints(min_length=1, max_length=200),
    AfterValidator(_single_line),
    WithJsonSchema({"type": "string", "minLength": 1, "maxLength": 200, "pattern": _LINE_PATTERN}),
]
Prose = Annotated[
    str,
    StringConstraints(min_length=1, max_length=4000),
    AfterValidator(_prose),
    WithJsonSchema({"type": "string", "minLength": 1, "maxLength": 4000, "pattern": _PROSE_PATTERN}),
]
SenderId = Line
TRACEPARENT = r"^[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$"
Traceparent = Annotated[str, StringConstraints(pattern=TRACEPARENT)]
Tracestate = Annotated[str, StringConstraints(pattern=r"^[ -~]{1,512}$")]

Tlp = Literal["TLP:CLEAR", "TLP:GREEN", "TLP:AMBER", "TLP:AMBER+STRICT", "TLP:RED"]
Disposition = Literal["received", "participating", "declined", "finished"]
WindowStatus = Literal["not-offered", "scheduled", "open", "closed", "withdrawn"]
AlertKind = Literal[
    "scheduled", "rescheduled", "opened", "closing-soon", "closed", "withdrawn", "no-longer-addressed", "announced"
]
OptionalKind = Literal["scheduled", "opened", "closing-soon", "closed", "announced"]
"""The kinds that an agency may leave out; `rescheduled`, `withdrawn` and `no-longer-addressed` it always hears."""
