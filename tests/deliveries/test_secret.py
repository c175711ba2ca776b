"""Secrets are read where their references say, anew each time, and never said."""

import os
from pathlib import Path

import pytest

from services.deliveries.secret import SecretError, read


def test_a_file_is_read_anew_each_time_and_the_white_space_around_it_does_not_count(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_text("\n whsec_first \r\n")
    assert read(f"file:{file}") == "whsec_first"
    file.write_text("whsec_second\n")
    assert read(f"file:{file}") == "whsec_second"


def test_a_variable_is_read_anew_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    for value in ("first", "second"):
        monkeypatch.setenv("DESK_SECRET", f" {value}\n")
        assert read("env:DESK_SECRET") == value


@pytest.mark.parametrize(
    ("content", "wrong"),
    [
        (b"", "it is empty"),
        (b" \n\t", "it is empty"),
        (b"s3cret" * 11_000, "at most 64 KiB"),
        (b"s3cret\xff", "text in UTF-8"),
    ],
)
def test_what_is_wrong_with_a_file_is_said_and_never_what_is_in_it(tmp_path: Path, content: bytes, wrong: str) -> None:
    file = tmp_path / "secret"
    file.write_bytes(content)
    with pytest.raises(SecretError, match=f"^file:{file}: .*{wrong}") as raised:
        read(f"file:{file}")
    assert "s3cret" not in f"{raised.value!r}{raised.value.__cause__!r}"


def test_as_much_as_64_kib_is_read(tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(b"x" * 64 * 1024)
    assert len(read(f"file:{tmp_path}/secret")) == 64 * 1024


def test_a_missing_file_a_folder_a_pipe_and_a_missing_variable_are_named(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for ref, wrong in (
        (f"file:{tmp_path}/none", "No such file or directory"),
        (f"file:{tmp_path}", "Is a directory"),
        (f"file:{tmp_path}/pipe", "it is empty"),
        ("file:/a\0b", "no such path can be"),
        ("env:NOBODY_SET_THIS", "no such variable"),
    ):
        with pytest.raises(SecretError, match=wrong) as raised:
            read(ref)
        assert str(raised.value).startswith(ref)
