"""A disk that runs full or becomes slow, as one process sees it: what it asks of the C library is answered so.

It is no disk: a library of our own (tests/chaos/disk.c), preloaded, lets writes to files fail as they do where there is
no room (the last one that has some is cut short), or lets writes and syncs wait. Nobody needs to be root; a C compiler
makes the library anew for each run, and without one no disk can be hurt.
"""

import shutil
import struct
import subprocess
import sys
from pathlib import Path

ENOUGH = -1


def library(folder: Path) -> Path | None:
    """Made in that folder; None where no compiler makes it."""
    made, compiler = folder / "disk.so", shutil.which("cc")
    if compiler is None or sys.platform != "linux":
        return None
    command = [compiler, "-shared", "-fPIC", "-O2", "-o", str(made), str(Path(__file__).with_name("disk.c"))]
    return None if subprocess.run(command, capture_output=True, check=False).returncode else made


class Disk:
    """The disk of a process that begins with `env`. `page`: a file of its own, by which it is told."""

    def __init__(self, page: Path, library: Path) -> None:
        self._page = page
        self.env = {"LD_PRELOAD": str(library), "HERALD_TEST_DISK": str(page)}
        page.write_bytes(bytes(16))
        self.mend()

    def fill(self, room: int) -> None:
        """So many bytes can still be written."""
        self._tell(room, 0)

    def slow(self, seconds: float) -> None:
        """Each write to a file, and each sync, takes so long from now on."""
        self._tell(ENOUGH, seconds)

    def mend(self) -> None:
        """As new; what was written is there."""
        self._tell(ENOUGH, 0)

    def _tell(self, room: int, seconds: float) -> None:
        with self._page.open("r+b") as page:
            page.write(struct.pack("qq", room, round(seconds * 1_000_000)))
