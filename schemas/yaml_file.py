"""Reads a YAML or JSON file as plain JSON values, and tells on which line each of them stands.

YAML 1.2's core schema: `yes` and `2027-03-01` stay strings, so a file means the same in YAML and in JSON.
"""

import re
from typing import Any

import yaml

from schemas.notice import Refused

Lines = dict[tuple[str, ...], int]
"""The line (from 1) of each value, by its path."""

MAX_ALIASES = 1000


class FileError(Exception):
    """A file that cannot be used; `problems` says why, each with its line where that is known."""

    def __init__(self, problems: tuple[Refused, ...]) -> None:
        self.problems = problems
        super().__init__("; ".join(f"{p.field}: {p.message}" if p.field else p.message for p in problems))


class _Loader(yaml.SafeLoader):
    """SafeLoader with YAML 1.2's scalars."""

    yaml_implicit_resolvers: dict[Any, Any] = {}  # noqa: RUF012 - replaces the base's


for _tag, _pattern, _first in (
    ("null", r"^(~|null|)$", ["~", "n", ""]),
    ("bool", r"^(true|false)$", list("tf")),
    ("int", r"^-?(0|[1-9][0-9]{0,30})$", list("-0123456789")),
    ("float", r"^-?(0|[1-9][0-9]{0,30})(\.[0-9]+)?([eE][-+]?[0-9]{1,3})?$", list("-0123456789")),
):
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(_pattern), _first)


def read(text: str) -> tuple[Any, Lines]:
    """The values and their lines. Raises FileError: not YAML, duplicate keys, too many aliases."""
    lines: Lines = {}
    loader = _Loader(text)
    try:
        node = loader.get_single_node()
        if text.count("*") > MAX_ALIASES:
            raise FileError((_problem(None, "has too many aliases; write the values out"),))
        plain = _plain(loader, node, (), lines) if node is not None else None
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else None
        raise FileError((_problem(line, f"is not YAML: {error.problem or error.context}"),)) from None
    except RecursionError:
        raise FileError((_problem(None, "is nested too deeply, or holds an alias of itself"),)) from None
    except (yaml.YAMLError, ValueError) as error:
        raise FileError((_problem(None, f"is not YAML: {type(error).__name__}"),)) from None
    finally:
        loader.dispose()
    return plain, lines


def with_lines(problems: tuple[Refused, ...], lines: Lines) -> tuple[Refused, ...]:
    """The problems, each with the line of its field, or of the nearest that stands in the file."""
    return tuple(p.model_copy(update={"message": _at(p, lines)}) for p in problems)


def _at(problem: Refused, lines: Lines) -> str:
    path = tuple(problem.field.split(".")) if problem.field else ()
    while path and path not in lines:
        path = path[:-1]
    return f"{problem.message} (line {lines[path]})" if path in lines else problem.message


def _plain(loader: _Loader, node: yaml.Node, path: tuple[str, ...], lines: Lines) -> Any:
    lines[path] = node.start_mark.line + 1
    if isinstance(node, yaml.MappingNode):
        found: dict[str, Any] = {}
        for key_node, value_node in node.value:
            key, line = str(key_node.value), key_node.start_mark.line + 1
            if key in found:
                raise FileError((_problem(line, "stands here twice; keep one", ".".join((*path, key))),))
            found[key] = _plain(loader, value_node, (*path, key), lines)
            lines[*path, key] = line
        return found
    if isinstance(node, yaml.SequenceNode):
        return [_plain(loader, item, (*path, str(i)), lines) for i, item in enumerate(node.value)]
    return loader.construct_object(node)


def _problem(line: int | None, message: str, field: str | None = None) -> Refused:
    return Refused(code="invalid", field=field, message=f"{message} (line {line})" if line else message)
