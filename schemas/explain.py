"""Says what is wrong with an event or a file: field, rule and remedy, instead of a validator's own words."""

import re
from difflib import get_close_matches
from typing import Any, get_args

from pydantic import BaseModel, StringConstraints, ValidationError

from schemas.endpoint import (
    CHANNELS,
    ClockTime,
    FilePath,
    HeaderName,
    HeaderValue,
    HostName,
    MailAddress,
    SecretRef,
    WebUrl,
)
from schemas.notice import Refused
from schemas.values import (
    Capability,
    Digest,
    HttpsUrl,
    IssuerUrl,
    ParticipantId,
    Reference,
    Tier,
    Traceparent,
    Tracestate,
    Uuid,
)

MOST = 20
"""How many problems are named at once."""

LONGEST_NAME = 64
"""A sender's own name of a field is shown up to here: a name that nobody knows may be anything."""

# A validator's own steps on the way to a field: which choice of a union it tried.
_STEP = re.compile(r"herald\.[a-z.-]+\.v\d+|(literal|tuple)\[.*\]|\[key\]")


def _pattern(kind: Any) -> str:
    (pattern,) = [one.pattern for one in get_args(kind) if isinstance(one, StringConstraints)]
    return str(pattern)


_WORDS = {
    _pattern(ParticipantId): "must be an id: 2 to 31 of a-z, 0-9 and -, a letter first",
    _pattern(Reference): "must be 1 to 64 of A-Z, a-z, 0-9, point, - and _, a letter or digit first",
    _pattern(Capability): "must be a capability's name: 1 to 64 of a-z, 0-9 and -, a letter first",
    _pattern(Tier): "must be a name: 1 to 31 of a-z, 0-9 and -, a letter first",
    _pattern(Uuid): "must be a UUID in lower case, such as 8f0a7a52-5a0c-5c3e-9a43-0f3d0b7d5e11",
    _pattern(Digest): "must be sha256: or sha512: and the digest in lower-case hexadecimal",
    _pattern(HttpsUrl): "must be a web address that begins with https://",
    _pattern(IssuerUrl): "must be the issuer's address as its tokens name it: https:// (plain http on loopback alone), "
    "a host, perhaps a path",
    _pattern(SecretRef): "must say where the secret stands: file:/absolute/path, or env:NAME; never the secret itself",
    _pattern(FilePath): "must be an absolute path without spaces",
    _pattern(HeaderName): "must be a header's name: 1 to 64 of A-Z, a-z, 0-9 and -, a letter first",
    _pattern(HeaderValue): "must be 1 to 200 printable ASCII characters, no space first or last",
    _pattern(WebUrl): "must be a web address that begins with https://, without a user and without #",
    _pattern(MailAddress): "must be one mail address, such as desk@agency.example, without a name",
    _pattern(HostName): "must be a host's name or address, without a port",
    _pattern(ClockTime): "must be a time of day from 00:00 to 23:59, in quotes",
    _pattern(Traceparent): "must be a W3C trace parent: version, trace id, parent id and flags; or leave it out",
    _pattern(Tracestate): "must be printable ASCII; or leave it out",
}


def explain(error: ValidationError, *expected: type[BaseModel]) -> tuple[Refused, ...]:
    """Each problem as field, rule and remedy; the first 20. `expected` tells what may stand where."""
    problems = error.errors(include_url=False, include_input=False)
    found: dict[str, list[str]] = {}  # what several choices of a union say of one field belongs together
    for problem in problems:
        field = ".".join(map(shown, path_of(problem)))
        if len(found) == MOST and field not in found:
            break
        if not _is_answered_deeper(problem, problems):
            found.setdefault(field, []).append(_rule(problem, expected))
    return tuple(Refused(code="invalid", field=f or None, message="; or ".join(said)) for f, said in found.items())


def path_of(problem: Any) -> tuple[str, ...]:
    """Where a problem lies, without the validator's own steps."""
    last = len(problem["loc"]) - 1 if problem["type"] == "extra_forbidden" else -1
    return tuple(str(part) for i, part in enumerate(problem["loc"]) if i == last or not _is_step(problem["loc"], i))


def _is_step(loc: tuple[int | str, ...], place: int) -> bool:
    """Whether it is the validator's own: a choice of a union, such as an endpoint's channel behind its name."""
    endpoint = place == 4 and loc[0] == "agencies" and loc[2] == "endpoints"
    return (endpoint and loc[place] in CHANNELS) or _STEP.fullmatch(str(loc[place])) is not None


def shown(name: str) -> str:
    """A name that somebody else chose, fit to be shown: bounded, and nothing in it that a terminal would obey."""
    fit = "".join(c if c.isprintable() else "?" for c in name[: LONGEST_NAME + 1])
    return fit if len(fit) <= LONGEST_NAME else fit[:LONGEST_NAME] + "…"


def _is_answered_deeper(problem: Any, problems: list[Any]) -> bool:
    """Whether it is no news: the other choice of a union was taken, or what is missing in a list was found unfit."""
    *union, choice = problem["loc"] or ("",)
    if problem["type"] == "too_short":
        return any(
            len(p["loc"]) > len(problem["loc"]) and p["loc"][: len(union) + 1] == problem["loc"] for p in problems
        )
    if not str(choice).startswith("literal["):
        return False
    return any(p["loc"][: len(union)] == tuple(union) and len(p["loc"]) > len(union) + 1 for p in problems)


def _rule(problem: Any, expected: tuple[type[BaseModel], ...]) -> str:
    kind, context = problem["type"], problem.get("ctx", {})
    match kind:
        case "missing":
            return "is required"
        case "extra_forbidden":
            *path, name = path_of(problem)
            near = get_close_matches(name[:LONGEST_NAME], sorted(_fields_at(expected, path)), n=1)
            return f"is unknown; did you mean {near[0]}?" if near else "is unknown; leave it out"
        case "value_error":
            return str(context.get("error", problem["msg"]))
        case "string_type":
            return "must be a string; put it in quotes"
        case "bool_type":
            return "must be true or false, without quotes"
        case "list_type" | "tuple_type":
            return "must be a list"
        case "dict_type" | "model_type" | "model_attributes_type":
            return "must be a mapping: one `name: value` a line"
        case "string_pattern_mismatch":
            return _WORDS.get(context["pattern"], f"must match {context['pattern']}")
        case "union_tag_invalid" | "union_tag_not_found" if "channel" in context["discriminator"]:
            return f"channel must be one of {', '.join(CHANNELS)}"
        case "union_tag_invalid" | "union_tag_not_found":
            return f"type must be one of {context.get('expected_tags', 'the known event types')}"
        case "json_invalid":
            return f"is not JSON: {context['error']}"
    said: str = problem["msg"]
    return said.replace("Input should", "must").replace("String should", "must").replace("Value should", "must")


def _fields_at(expected: tuple[type[BaseModel], ...], path: list[str]) -> set[str]:
    """The names of the fields that may stand at a path."""
    models = list(expected)
    for part in path:
        annotations = [model.model_fields[part].annotation for model in models if part in model.model_fields]
        if annotations:  # a key of a mapping is no field: what it holds was found with the mapping
            models = [model for one in annotations for model in _models_in(one)] or list(expected)
    return {name for model in models for name in model.model_fields}


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for argument in get_args(annotation) for model in _models_in(argument)]
