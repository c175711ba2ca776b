"""Says what is wrong with an event or a file: field, rule and remedy, instead of a validator's own words."""

from difflib import get_close_matches
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

from schemas.notice import Refused

MOST = 20
"""How many problems are named at once."""


def explain(error: ValidationError, *expected: type[BaseModel]) -> tuple[Refused, ...]:
    """Each problem as field, rule and remedy; the first 20. `expected` gives the names, for near misses."""
    names = _names(expected)
    return tuple(
        Refused(code="invalid", field=".".join(path_of(problem)) or None, message=_rule(problem, names))
        for problem in error.errors(include_url=False, include_input=False)[:MOST]
    )


def path_of(problem: Any) -> tuple[str, ...]:
    """Where a problem lies, without the validator's own steps (the tag of a union)."""
    return tuple(str(part) for part in problem["loc"] if not str(part).startswith("herald.") and part != "[key]")


def _rule(problem: Any, names: set[str]) -> str:
    kind, context = problem["type"], problem.get("ctx", {})
    match kind:
        case "missing":
            return "is required"
        case "extra_forbidden":
            near = get_close_matches(str(problem["loc"][-1]), sorted(names), n=1)
            return f"is unknown; did you mean {near[0]}?" if near else "is unknown; leave it out"
        case "value_error":
            return str(context.get("error", problem["msg"]))
        case "string_type":
            return "must be a string; in YAML put it in quotes"
        case "string_pattern_mismatch":
            return f"must match {context['pattern']}"
        case "union_tag_invalid" | "union_tag_not_found":
            return f"type must be one of {context.get('expected_tags', 'the known event types')}"
        case "json_invalid":
            return f"is not JSON: {context['error']}"
    said: str = problem["msg"]
    return said.replace("Input should be", "must be").replace("String should have", "must have").lower()


def _names(models: tuple[type[BaseModel], ...]) -> set[str]:
    """Every field name of some models and of the models inside them."""
    found: set[str] = set()
    waiting: list[Any] = list(models)
    seen: set[Any] = set()
    while waiting:
        one = waiting.pop()
        if one in seen or isinstance(one, str):
            continue
        seen.add(one)
        if isinstance(one, type) and issubclass(one, BaseModel):
            found |= set(one.model_fields)
            waiting += [field.annotation for field in one.model_fields.values()]
        waiting += [argument for argument in get_args(one) if not isinstance(argument, int | float)]
    return found
