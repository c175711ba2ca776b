"""Files that are made from the code: written, or compared with what there is."""

import sys
from collections.abc import Iterable, Mapping
from pathlib import Path


def drift(files: Mapping[Path, str], there: Iterable[Path] = ()) -> list[str]:
    """The files that are missing or differ, and those of `there` that are not generated any more."""
    found = [str(path) for path, text in files.items() if not path.exists() or path.read_text() != text]
    return found + [str(path) for path in sorted(there) if path not in files]


def settle(files: Mapping[Path, str], there: Iterable[Path] = ()) -> None:
    """Writes them; a command that was called with `--check` ends with what differs instead."""
    if "--check" in sys.argv[1:]:
        if different := drift(files, there):
            sys.exit("generated files differ, run `make schemas`:\n  " + "\n  ".join(different))
        return
    for path, text in files.items():
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
