"""Reads deploy/Dockerfile, as far as its own instructions go."""

import json
import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FILE = ROOT / "deploy" / "Dockerfile"


@dataclass(frozen=True, slots=True)
class Instruction:
    """One instruction: its name, the flags before its arguments, and these as one text."""

    name: str
    flags: dict[str, str]
    text: str

    @property
    def words(self) -> list[str]:
        """The arguments; those of a JSON form, or as they are split by spaces."""
        words: list[str] = json.loads(self.text) if self.text.startswith("[") else self.text.split()
        return words


def stages() -> list[list[Instruction]]:
    """The instructions of each stage; the first of each is its FROM."""
    lines = [line for line in FILE.read_text().splitlines() if line.strip() and not line.startswith("#")]
    found: list[list[Instruction]] = []
    for line in re.sub(r"\\\n\s*", " ", "\n".join(lines)).splitlines():
        name, rest = line.split(None, 1)
        flags = {}
        while flag := re.match(r"--([a-z-]+)=(\S+)\s+", rest):
            flags[flag[1]] = flag[2]
            rest = rest[flag.end() :]
        if name == "FROM":
            found.append([])
        found[-1].append(Instruction(name, flags, rest))
    return found


def environment() -> dict[str, str]:
    """What the image sets."""
    pairs = [word.partition("=") for each in stages()[-1] if each.name == "ENV" for word in each.words]
    return {name: value for name, _, value in pairs}


def let_in(path: str) -> bool:
    """Whether .dockerignore lets a path into the build: all that it lists is out but what it names with `!`."""
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    assert lines[1] == "*", "everything is out but what is named"
    named = [line[1:] for line in lines if line.startswith("!")]
    return any(path == name or path.startswith(f"{name}/") for name in named)
