"""What a process uses, as Linux tells in /proc."""

import os
from contextlib import suppress
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")


def cpu_seconds(pid: int) -> float:
    """Seconds of a core since it started."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def memory(pid: int) -> int:
    """Bytes that are resident."""
    return int(_status(pid, "VmRSS")) * 1024


def threads(pid: int) -> int:
    """How many it has."""
    return int(_status(pid, "Threads"))


def handles(pid: int) -> int:
    """Files and sockets that are open."""
    return len(os.listdir(f"/proc/{pid}/fd"))


def _status(pid: int, name: str) -> str:
    return Path(f"/proc/{pid}/status").read_text().partition(f"{name}:")[2].split()[0]


def connections(pid: int) -> int:
    """Sockets that are open: each client of Kafka, a producer above all, has one or more of its own."""
    folder = Path(f"/proc/{pid}/fd")
    found = 0
    for handle in folder.iterdir():
        with suppress(FileNotFoundError):  # closed since
            found += os.readlink(handle).startswith("socket:")
    return found
