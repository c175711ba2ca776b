"""A back-up is the directory, byte for byte, or it is refused; a part of one is never taken for the whole."""

import fcntl
import json
import os
from pathlib import Path

import pytest

from services.embedded import EmbeddedError, backup
from services.embedded.backup import MANIFEST, back_up, restore
from services.embedded.broker import Broker

HOLE = 64 * 1024 * 1024


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A data directory whose Kafka's logs lie on a disk of their own."""
    found, disk = tmp_path / "data", tmp_path / "disk"
    (disk / "herald.windows-0").mkdir(parents=True)
    (disk / "meta.properties").write_text("cluster.id=x")
    (disk / "herald.windows-0" / "0.log").write_bytes(os.urandom(3 * 1024 * 1024))
    with (disk / "herald.windows-0" / "0.index").open("wb") as index:
        index.write(b"few")
        index.truncate(HOLE)
    (found / "kafka").mkdir(parents=True, mode=0o700)
    (found / "kafka" / "logs").symlink_to(disk)
    (found / "kafka" / "kafka.log").write_text("words")
    (found / "kafka" / "broker.json").write_text("{}")
    (found / "kafka" / "admin.password").write_text("secret")
    (found / "kafka" / "admin.password").chmod(0o600)
    (found / "logs").mkdir()
    (found / "logs" / "windows.log").write_text("words")
    (found / "link.key").write_text("key")
    (found / "door.db").write_text("rows")
    return found


def contents(folder: Path) -> dict[str, tuple[int, bytes]]:
    """Every file with its mode."""
    files = {Path(at, name) for at, _, names in os.walk(folder, followlinks=True) for name in names}
    return {str(p.relative_to(folder)): (p.stat().st_mode, p.read_bytes()) for p in files}


def test_what_is_restored_is_what_was_there_but_for_logs_and_locks(data: Path, tmp_path: Path) -> None:
    before = contents(data)
    done = back_up(data, tmp_path / "copy")
    assert restore(tmp_path / "copy", tmp_path / "again") == done
    after = contents(tmp_path / "again")
    assert {name for name in before if name not in after} == {"kafka/kafka.log", "logs/windows.log"}
    assert {name: after[name] for name in before if name in after} == {n: before[n] for n in before if n in after}
    assert set(after) - set(before) == {"up.lock", "kafka/.lock"}
    assert done.files == 7
    assert (tmp_path / "again" / "kafka").stat().st_mode & 0o777 == 0o700


def test_holes_stay_holes(data: Path, tmp_path: Path) -> None:
    back_up(data, tmp_path / "copy")
    copied = tmp_path / "copy" / "kafka" / "logs" / "herald.windows-0" / "0.index"
    assert copied.stat().st_size == HOLE
    assert copied.stat().st_blocks * 512 < HOLE / 10


def test_a_back_up_is_for_its_owner_alone(data: Path, tmp_path: Path) -> None:
    back_up(data, tmp_path / "copy")
    assert (tmp_path / "copy").stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("hurt", ["changed", "missing", "no manifest", "a manifest cut short"])
def test_a_back_up_that_is_not_whole_changes_nothing(data: Path, tmp_path: Path, hurt: str) -> None:
    copy, target = tmp_path / "copy", tmp_path / "again"
    back_up(data, copy)
    file = copy / "kafka" / "logs" / "herald.windows-0" / "0.log"
    match hurt:
        case "changed":
            file.write_bytes(file.read_bytes()[:-1] + b"x")
        case "missing":
            file.unlink()
        case "no manifest":
            (copy / MANIFEST).unlink()
        case _:
            (copy / MANIFEST).write_text((copy / MANIFEST).read_text()[:-20])
    with pytest.raises(EmbeddedError, match=r"is not what was backed up|is no whole back-up"):
        restore(copy, target)
    assert not target.exists()


def test_a_manifest_cannot_name_a_file_outside(data: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    back_up(data, copy)
    (tmp_path / "outside").write_text("mine")
    said = json.loads((copy / MANIFEST).read_text())
    said["files"]["../outside"] = {"bytes": "4", "sha256": ""}
    (copy / MANIFEST).write_text(json.dumps(said))
    with pytest.raises(EmbeddedError, match="is not what was backed up"):
        restore(copy, tmp_path / "again")


@pytest.mark.parametrize("lock", ["up.lock", "kafka/.lock"])
def test_while_something_runs_there_nothing_is_copied_or_restored(
    data: Path, tmp_path: Path, lock: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backup, "DYING_SECONDS", 0.0)
    back_up(data, tmp_path / "copy")
    with (data / lock).open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(EmbeddedError, match="runs on"):
            back_up(data, tmp_path / "other")
        with pytest.raises(EmbeddedError, match="runs on"):
            restore(tmp_path / "copy", data)


def test_a_back_up_goes_to_a_new_folder_outside_and_of_a_kafka(data: Path, tmp_path: Path) -> None:
    with pytest.raises(EmbeddedError, match="lies in"):
        back_up(data, data / "copy")
    with pytest.raises(EmbeddedError, match="is not empty"):
        back_up(data, tmp_path)
    with pytest.raises(EmbeddedError, match="holds no Kafka"):
        back_up(tmp_path / "nothing", tmp_path / "copy")


def test_another_kafka_is_never_written_over(data: Path, tmp_path: Path) -> None:
    back_up(data, tmp_path / "copy")
    before = contents(data)
    with pytest.raises(EmbeddedError, match=r"move .* away first"):
        restore(tmp_path / "copy", data)
    assert contents(data) == {**before, **{n: c for n, c in contents(data).items() if n.endswith(".lock")}}


def test_a_restore_that_was_cut_short_is_not_started_and_can_be_done_again(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy, target = tmp_path / "copy", tmp_path / "again"
    back_up(data, copy)
    with monkeypatch.context() as cut:
        whole, left = backup._copy, iter(range(5))
        cut.setattr(backup, "_copy", lambda *given: (next(left), whole(*given)))
        with pytest.raises(StopIteration):
            restore(copy, target)
    with pytest.raises(EmbeddedError, match="was cut short: run `herald restore` again"):
        Broker(target).start(print)
    (target / "kafka" / "logs" / "of-another-back-up").mkdir(parents=True)
    restore(copy, target)
    assert not (target / "kafka" / "logs" / "of-another-back-up").exists()
    assert not (target / "kafka" / "restoring").exists()


def test_a_read_model_of_a_later_time_gives_way(data: Path, tmp_path: Path) -> None:
    (data / "door.db").unlink()
    back_up(data, tmp_path / "copy")
    target = tmp_path / "again"
    target.mkdir()
    for name in ("door.db", "door.db-wal"):
        (target / name).write_text("ahead")
    restore(tmp_path / "copy", target)
    assert list(target.glob("door.db*")) == []


def test_a_kafka_whose_logs_are_gone_does_not_begin_anew_in_silence(data: Path) -> None:
    (data / "kafka" / "logs").unlink()
    with pytest.raises(EmbeddedError, match=r"a Kafka ran on .*, and its logs are gone: `herald restore`"):
        Broker(data).start(print)
