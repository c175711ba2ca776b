"""Says what is wrong with an event or a file: field, rule and remedy, instead of a validator's own words."""

from difflib import get_close_matches
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

from schemas.notice import Refused

MOST = 20
"""How many problems are named at once."""


def explain(error: ValidationError, *expected: type[BaseModel]) -> tuple[Refused, ...]:
    """Each problem as field, rule and remedy; the first 20. `expected` tells what may stand where."""
    return tuple(
        Refused(code="invalid", field=".".join(path_of(problem)) or None, message=_rule(problem, expected))
        for problem in error.errors(include_url=False, include_input=False)[:MOST]
    )


def path_of(problem: Any) -> tuple[str, ...]:
    """Where a problem lies, without the validator's own steps (the tag of a union)."""
    return tuple(str(part) for part in problem["loc"] if not str(part).startswith("herald.") and part != "[key]")


def _rule(problem: Any, expected: tuple[type[BaseModel], ...]) -> str:
    kind, context = problem["type"], problem.get("ctx", {})
    match kind:
        case "missing":
            return "is required"
        case "extra_forbidden":
            *path, name = path_of(problem)
            near = get_close_matches(name, sorted(_fields_at(expected, path)), n=1)
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
