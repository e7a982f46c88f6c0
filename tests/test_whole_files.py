"""`whole_files`: nobody ever finds half a file."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from lifecycle_jobs.whole_files import write_whole


def test_the_old_file_is_there_until_the_new_one_is_whole(tmp_path: Path) -> None:
    file = tmp_path / "forecast.csv"
    file.write_bytes(b"old")

    with write_whole(file) as unfinished:
        unfinished.write(b"new")
        unfinished.flush()
        assert file.read_bytes() == b"old"

    assert file.read_bytes() == b"new"
    assert list(tmp_path.iterdir()) == [file]


def test_after_an_error_nothing_has_changed(tmp_path: Path) -> None:
    file = tmp_path / "forecast.csv"
    file.write_bytes(b"old")

    def write_half() -> None:
        with write_whole(file) as unfinished:
            unfinished.write(b"half of")
            raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        write_half()

    assert file.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [file]


def test_a_private_file_is_read_by_its_owner_alone(tmp_path: Path) -> None:
    mask = os.umask(0o022)
    try:
        for private, mode in ((True, 0o600), (False, 0o644)):
            file = tmp_path / f"private-{private}"
            with write_whole(file, private=private) as unfinished:
                unfinished.write(b"?")
            assert file.stat().st_mode & 0o777 == mode
    finally:
        os.umask(mask)
