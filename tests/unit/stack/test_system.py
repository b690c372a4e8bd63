"""Places that a server without privileges can reach."""

from __future__ import annotations

from pathlib import Path

from clickstream_guardian.stack.postgres import _repair_pid_file
from clickstream_guardian.stack.system import (
    SOCKET_LIMIT,
    outside_home,
    reachable_by_all,
    socket_path,
)


def test_a_private_folder_bars_all_below_it(tmp_path: Path) -> None:
    inside = tmp_path / "private" / "inside"
    inside.mkdir(parents=True)
    inside.parent.chmod(0o700)
    assert not reachable_by_all(inside)
    assert reachable_by_all(Path("/usr/bin"))


def test_a_long_path_moves_the_socket_and_always_to_the_same_place(tmp_path: Path) -> None:
    deep = tmp_path / ("x" * 120)
    moved = socket_path(deep, "s.sock")
    assert len(str(moved)) <= SOCKET_LIMIT
    assert moved == socket_path(deep, "s.sock")
    assert moved.parent.stat().st_mode & 0o077 == 0
    assert socket_path(Path("/srv/a"), "s.sock") == Path("/srv/a/s.sock")


def test_two_homes_have_two_system_folders() -> None:
    assert outside_home(Path("/a/postgres")) != outside_home(Path("/b/postgres"))


def test_a_half_written_pid_file_is_removed_and_a_whole_one_is_not(tmp_path: Path) -> None:
    file = tmp_path / "postmaster.pid"
    _repair_pid_file(file)
    for text, stays in (("", False), ("12", True), ("4711\n/data\n", True)):
        file.write_text(text)
        _repair_pid_file(file)
        assert file.exists() is stays
