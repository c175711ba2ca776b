"""The rules of the tree: who may import whom, and what the project says of itself."""

import ast
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
ROOMS = ("gateway", "announcements", "windows", "notifier", "deliveries", "acknowledgements", "watchdog")


def imports(path: Path) -> set[str]:
    """The modules that a file imports, by their full names."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
    return found


def pure(room: str) -> list[Path]:
    """The files of a room that decide: all but the wiring; where it reaches outside, what its decider imports."""
    folder = ROOT / "services" / room
    if room not in {"deliveries", "watchdog"}:
        wiring = {"app.py", "__main__.py", "metrics.py"}
        return [path for path in sorted(folder.glob("*.py")) if path.name not in wiring]
    found, waiting = set(), {folder / "decide.py", folder / "state.py"}
    while waiting:
        found.add(path := waiting.pop())
        inner = {name.split(".")[2] for name in imports(path) if name.startswith(f"services.{room}.")}
        waiting |= {folder / f"{name}.py" for name in inner} - found
    return sorted(found)


PURE = [path for room in ROOMS for path in pure(room)]


@pytest.mark.parametrize("path", PURE, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_deciders_import_the_standard_library_schemas_and_their_own_room_only(path: Path) -> None:
    room = f"services.{path.parent.name}"
    allowed = {"pydantic"}  # the gateway names the error that says what is wrong with an event
    for name in imports(path):
        top = name.partition(".")[0]
        assert top in sys.stdlib_module_names or top == "schemas" or name.startswith(room) or name in allowed, name
        assert top not in {"asyncio", "logging", "random", "secrets", "socket", "time", "os"}, name


@pytest.mark.parametrize("room", ROOMS)
def test_no_service_imports_another(room: str) -> None:
    for path in (ROOT / "services" / room).rglob("*.py"):
        others = {f"services.{other}" for other in (*ROOMS, "cli", "embedded") if other != room}
        assert not {name for name in imports(path) if ".".join(name.split(".")[:2]) in others}, path


def test_the_audit_shares_the_contract_with_the_services_and_no_rule_of_theirs() -> None:
    rules = {"schemas.routing", "schemas.tiers", "schemas.forecast", "schemas.plan", "schemas.statement"}
    for path in (ROOT / "services" / "audit").glob("*.py"):
        found = imports(path)
        assert not rules & found, path
        inner = tuple(name for name in found if name.startswith("services"))
        assert all(name.startswith(("services.audit", "services.kernel")) for name in inner), path
        if path.name not in {"reading.py", "gather.py", "run.py"}:
            assert not [name for name in found if name.startswith(("services.kernel", "aiokafka"))], path


def test_the_kernel_imports_no_service_and_schemas_import_neither() -> None:
    for path in (ROOT / "services" / "kernel").glob("*.py"):
        assert all(n.startswith("services.kernel") for n in imports(path) if n.startswith("services")), path
    for path in (ROOT / "schemas").glob("*.py"):
        assert not {name for name in imports(path) if name.startswith("services")}, path


@pytest.mark.parametrize("room", ROOMS)
def test_every_service_is_the_same_room(room: str) -> None:
    names = {path.name for path in (ROOT / "services" / room).glob("*.py")}
    assert {"__init__.py", "app.py", "decide.py", "state.py", "__main__.py"} <= names


def test_no_file_hides_behind_a_name_that_says_nothing() -> None:
    banned = {"utils", "helpers", "common", "manager", "misc"}
    assert not [p for p in (ROOT / "services").rglob("*.py") if p.stem in banned]


def test_every_folder_of_tests_is_run() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["pytest"]["ini_options"]
    assert {path.parent for path in ROOT.glob("tests/*/test_*.py")} == {ROOT / name for name in settings["testpaths"]}


def test_nothing_that_stands_for_acknowledgements_reaches_announcements_or_windows() -> None:
    from schemas.topics import TOPICS

    for topic in TOPICS:
        if topic.name in {
            "acks",
            "acknowledgements",
            "reminders",
            "alerts",
            "acks.{agency}",
            "deliveries",
            "delivery-outcomes",
        }:
            assert not {"announcements", "windows"} & {*topic.readers, *topic.writers}
    for room in ("announcements", "windows"):
        for path in (ROOT / "services" / room).glob("*.py"):
            assert not {"schemas.acknowledgement", "schemas.delivery"} & imports(path)
