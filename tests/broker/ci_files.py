"""What stands in deploy/ci and docs/ci.md, taken out of the files, and run as a runner would run it."""

import asyncio
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[2]
DOCS = (ROOT / "docs" / "ci.md").read_text()
EXAMPLES = {text.partition("\n")[0]: text for text in re.findall(r"```(?:yaml|sh)\n(.*?)```", DOCS, re.DOTALL)}
ACTION = yaml.safe_load((ROOT / "deploy" / "ci" / "action.yml").read_text())
GITLAB_JOB = yaml.safe_load((ROOT / "deploy" / "ci" / "gitlab.yml").read_text())[".herald-announce"]
VERSION = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
GITHUB_SHELL = ["bash", "--noprofile", "--norc", "-eo", "pipefail"]
"""How GitHub runs a step whose shell is bash."""

DOOR = "https://herald.example"
"""The door's address in the docs."""


def example(first_line: str) -> str:
    """A block of the docs, by how it begins."""
    (name,) = [line for line in EXAMPLES if line.startswith(first_line)]
    return str(EXAMPLES[name])


def step() -> tuple[str, dict[str, str]]:
    """The action's one step: its script, and its environment as the inputs' defaults make it."""
    (only,) = ACTION["runs"]["steps"]
    assert only["shell"] == "bash"
    return only["run"], environment({})


def environment(given: dict[str, str]) -> dict[str, str]:
    """What the action's step is told when a workflow says `with: given`."""
    inputs = {name: str(about.get("default", "")) for name, about in ACTION["inputs"].items()}
    assert given.keys() <= inputs.keys()
    found = {}
    for name, value in ACTION["runs"]["steps"][0]["env"].items():
        (asked,) = re.fullmatch(r"\$\{\{ inputs\.(\w+) \}\}", value).groups()  # type: ignore[union-attr]
        found[name] = str((inputs | given)[asked])
    return found


async def run(script: str, shell: list[str], folder: Path, **env: str) -> subprocess.CompletedProcess[str]:
    """Runs a script as a runner would: its own file, and nothing in the environment but what is said here."""
    file = folder / "step.sh"
    file.write_text(script)
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    named = {"PATH": path, "HOME": str(folder), "GITHUB_ACTION_PATH": str(ROOT / "deploy" / "ci")} | env
    command = [*shell, str(file)]
    return await asyncio.to_thread(
        lambda: subprocess.run(command, env=named, cwd=folder, capture_output=True, text=True, timeout=150, check=False)
    )
