"""Reads a YAML or JSON file as plain JSON values, and tells on which line each of them stands.

YAML 1.2's core schema: `yes` and `2027-03-01` stay strings, so a file means the same in YAML and in JSON.
"""

import json
import re
from typing import Any

import yaml

from schemas.explain import shown
from schemas.notice import Refused

Lines = dict[tuple[str, ...], int]
"""The line (from 1) of each value, by its path."""

MAX_VALUES = 100_000
MAX_CHARACTERS = 8 * 1024 * 1024
"""How much a file may hold once its aliases are written out: a few lines of them can stand for billions of values."""

_CORE = "tag:yaml.org,2002:"


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
    """The values and their lines. Raises FileError: neither YAML nor JSON, duplicate keys, too much in it."""
    try:
        return _yaml(text)
    except yaml.YAMLError as error:
        if text.lstrip("\ufeff \t\r\n").startswith("{"):  # JSON may be indented by tabs, YAML may not
            return _json(text), {}
        mark = error.problem_mark if isinstance(error, yaml.MarkedYAMLError) else None
        said = getattr(error, "problem", None) or getattr(error, "reason", None) or type(error).__name__
        raise FileError((_problem(mark.line + 1 if mark else None, f"is not YAML: {said}"),)) from None
    except RecursionError:
        raise FileError((_problem(None, "is nested too deeply, or holds an alias of itself"),)) from None


def _yaml(text: str) -> tuple[Any, Lines]:
    loader = _Loader(text)
    try:
        walk = _Walk(loader)
        node = loader.get_single_node()
        return (walk.plain(node, ()) if node is not None else None), walk.lines
    finally:
        loader.dispose()


def _json(text: str) -> Any:
    try:
        return json.loads(text.lstrip("\ufeff"), object_pairs_hook=_once_each)
    except json.JSONDecodeError as error:
        raise FileError((_problem(error.lineno, f"is not JSON: {error.msg}"),)) from None
    except (RecursionError, ValueError):
        raise FileError((_problem(None, "is nested too deeply, or holds a number too long to read"),)) from None


def _once_each(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise FileError((_problem(None, "stands twice in one object; keep one", shown(key)),))
        found[key] = value
    return found


def with_lines(problems: tuple[Refused, ...], lines: Lines) -> tuple[Refused, ...]:
    """The problems, each with the line of its field, or of the nearest that stands in the file."""
    return tuple(p.model_copy(update={"message": _at(p, lines)}) for p in problems)


def _at(problem: Refused, lines: Lines) -> str:
    path = tuple(problem.field.split(".")) if problem.field else ()
    while path and path not in lines:
        path = path[:-1]
    return f"{problem.message} (line {lines[path]})" if path in lines else problem.message


class _Walk:
    """Turns nodes into plain values, notes the line of each, and stops where there are too many."""

    def __init__(self, loader: _Loader) -> None:
        self.lines: Lines = {}
        self._loader = loader
        self._characters = 0

    def plain(self, node: yaml.Node, path: tuple[str, ...]) -> Any:
        """The value of a node. Raises FileError."""
        self.lines[path] = line = node.start_mark.line + 1
        self._characters += len(node.value) if isinstance(node, yaml.ScalarNode) else 0
        if len(self.lines) > MAX_VALUES or self._characters > MAX_CHARACTERS:
            raise FileError((_problem(line, "holds too much once its aliases are written out; use fewer"),))
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, path)
        if isinstance(node, yaml.SequenceNode):
            return [self.plain(item, (*path, str(i))) for i, item in enumerate(node.value)]
        if node.tag == f"{_CORE}str":
            return self._text(node.value, path, line)
        if node.tag != self._loader.resolve(yaml.ScalarNode, node.value, (True, False)):  # type: ignore[no-untyped-call]
            raise FileError((_problem(line, "has a tag; write the plain value", _field(path)),))
        return self._loader.construct_object(node)

    def _mapping(self, node: yaml.MappingNode, path: tuple[str, ...]) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for key_node, value_node in node.value:
            line = key_node.start_mark.line + 1
            if not isinstance(key_node, yaml.ScalarNode):
                raise FileError((_problem(line, "has a list or mapping as a key; write a name", _field(path)),))
            key = str(key_node.value)
            if key in found:
                raise FileError((_problem(line, "stands here twice; keep one", _field((*path, key))),))
            found[key] = self.plain(value_node, (*path, key))
            self.lines[*path, key] = line
        return found

    def _text(self, value: str, path: tuple[str, ...], line: int) -> str:
        try:
            # JSON writes what lies beyond 16 bits as a pair of escapes; read as YAML they are still two.
            return value if value.isascii() else value.encode("utf-16", "surrogatepass").decode("utf-16")
        except UnicodeDecodeError:
            raise FileError((_problem(line, "holds half a surrogate pair", _field(path)),)) from None


def _field(path: tuple[str, ...]) -> str | None:
    return ".".join(map(shown, path)) or None


def _problem(line: int | None, message: str, field: str | None = None) -> Refused:
    return Refused(code="invalid", field=field, message=f"{message} (line {line})" if line else message)
