"""The runbook taken apart: its sections, the commands of a part, and whether it quotes what a program says."""

import re
from pathlib import Path

RUNBOOK = (Path(__file__).resolve().parents[2] / "deploy" / "runbook.md").read_text()


def section(heading: str) -> str:
    """A part of the runbook, by its heading, with what is below it."""
    found = re.search(rf"^(#+) {re.escape(heading)}\n(.*?)(?=^(?!\1#)##+ |\Z)", RUNBOOK, re.DOTALL | re.MULTILINE)
    assert found is not None, heading
    return found[2]


def commands(heading: str) -> list[str]:
    """The lines of a part's shell blocks."""
    blocks = re.findall(r"```sh\n(.*?)```", section(heading), re.DOTALL)
    return [line.strip() for block in blocks for line in block.splitlines() if line.strip()]


def quotes(said: str) -> bool:
    """Whether it shows these words as what is seen."""
    return said in " ".join(RUNBOOK.split())
