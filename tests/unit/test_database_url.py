"""Where the read model is: from a setting, or from a file that keeps it out of the environment."""

from pathlib import Path

import pytest
from pydantic import SecretStr

from services.gateway.model.database import open_database
from services.kernel.settings import DoorSettings, Settings, SettingsError


def test_the_file_counts_before_the_setting_and_its_last_line_end_does_not(tmp_path: Path) -> None:
    (tmp_path / "url").write_text("postgresql://herald:secret@db.example/herald\n")
    door = DoorSettings(database=SecretStr("sqlite:///other.db"), database_file=tmp_path / "url")
    url = open_database(Settings(door=door, data=tmp_path)).url
    assert (url.host, url.database, url.password) == ("db.example", "herald", "secret")


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    door = DoorSettings(database_file=tmp_path / "missing")
    with pytest.raises(SettingsError, match=r"HERALD_DOOR__DATABASE_FILE: cannot read .*missing: No such file"):
        open_database(Settings(door=door, data=tmp_path))


def test_a_file_that_holds_no_text_is_named(tmp_path: Path) -> None:
    (tmp_path / "url").write_bytes(b"\xff\xfe")
    with pytest.raises(SettingsError, match=r"HERALD_DOOR__DATABASE_FILE: what .*url holds is no UTF-8"):
        open_database(Settings(door=DoorSettings(database_file=tmp_path / "url"), data=tmp_path))
