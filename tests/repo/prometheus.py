"""Debian's prometheus package: its programs, where they are installed."""

import shutil
import subprocess
from pathlib import Path

import pytest

RULES = Path(__file__).resolve().parents[2] / "deploy" / "prometheus"
needs_promtool = pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not installed")
needs_amtool = pytest.mark.skipif(shutil.which("amtool") is None, reason="amtool is not installed")


def promtool(*arguments: str, said: str | None = None) -> subprocess.CompletedProcess[str]:
    """Runs it, in the folder of the rules."""
    return _run("promtool", *arguments, said=said)


def amtool(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Runs it, in the folder of the rules."""
    return _run("amtool", *arguments)


def _run(program: str, *arguments: str, said: str | None = None) -> subprocess.CompletedProcess[str]:
    command = [shutil.which(program) or program, *arguments]
    return subprocess.run(command, input=said, capture_output=True, text=True, timeout=60, cwd=RULES, check=False)
