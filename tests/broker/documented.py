"""The docs' examples for a Kafka that asks who is there, taken out of their page and run as a reader runs them."""

import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PLACEHOLDER = "HOST:PORT"


def examples(page: str) -> list[str]:
    """Each command of the page's one block of this kind, behind the settings that the block exports."""
    blocks = re.findall(r"```sh\n(.*?)```", (ROOT / "docs" / page).read_text(), re.DOTALL)
    (block,) = [block for block in blocks if "SASL" in block]
    lines = [line for line in block.replace("\\\n", " ").splitlines() if line]
    settings = [line for line in lines if line.startswith("export ")]
    return ["\n".join([*settings, line]) for line in lines if line not in settings]


def run(example: str, folder: Path, bootstrap_servers: str, **env: str) -> subprocess.CompletedProcess[str]:
    """Runs one where the files are that it names, with nothing else in its environment; only the address is put in."""
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    clean = {"PATH": path, "HOME": str(folder), "PYTHONPATH": str(ROOT)} | env
    command = ["/bin/bash", "-ec", example.replace(PLACEHOLDER, bootstrap_servers)]
    return subprocess.run(command, cwd=folder, env=clean, capture_output=True, text=True, timeout=60, check=False)
