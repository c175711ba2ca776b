"""Ties a program's life to the process that starts it, so that not even kill -9 leaves it behind.

Linux: the kernel signals the child when its parent dies (prctl PR_SET_PDEATHSIG). The wrapper asks for that and becomes
the program, so the pid stays the same.
"""

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1


def tied(program: list[str]) -> list[str]:
    """The command line that runs `program` tied to the calling process."""
    return [sys.executable, "-m", "services.embedded.lifeline", str(os.getpid()), *program]


def main() -> None:
    """Asks for SIGTERM at the parent's death, and becomes the program."""
    parent, *program = sys.argv[1:]
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != int(parent):  # it died before the kernel was asked
        sys.exit(1)
    os.execv(program[0], program)  # noqa: S606 - no shell wanted


if __name__ == "__main__":
    main()
