"""Groups and what they need."""

from __future__ import annotations

import socket

import pytest

from clickstream_guardian.errors import UsageError
from clickstream_guardian.settings import load_settings
from clickstream_guardian.stack.lifecycle import log_file, status, up
from clickstream_guardian.stack.service import GROUPS, with_needs


@pytest.mark.parametrize(
    ("names", "started"),
    [
        (("kafka",), ("kafka",)),
        (("registry",), ("postgres", "registry")),
        (("kafka", "registry"), ("postgres", "kafka", "registry")),
        (("watch",), ("postgres", "s3", "kafka", "registry", "connect", "watch")),
        (("airflow",), ("postgres", "airflow-api", "airflow")),
        ((), ()),
    ],
)
def test_a_group_comes_with_what_it_needs(names: tuple[str, ...], started: tuple[str, ...]) -> None:
    assert with_needs(names) == started


def test_every_group_starts_after_what_it_needs() -> None:
    order = list(GROUPS)
    for name, needs in GROUPS.items():
        assert all(order.index(need) < order.index(name) for need in needs)


def test_an_unknown_group_is_named(tmp_path) -> None:
    with pytest.raises(UsageError, match=r"'kafak'.*known: postgres"):
        up(load_settings(home=tmp_path), ["kafak"], print)


def test_a_taken_port_is_named_with_its_setting(tmp_path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(UsageError, match=f"Port {port} of postgres.*GUARDIAN_POSTGRES_PORT"):
            up(load_settings(home=tmp_path, postgres_port=port), ["postgres"], print)


def test_a_lake_stays_on_its_server(tmp_path) -> None:
    (tmp_path / "stack/s3/minio").mkdir(parents=True)
    with pytest.raises(UsageError, match="GUARDIAN_S3_SERVER=minio"):
        up(load_settings(home=tmp_path, s3_port=28_711, s3_console_port=28_717), ["s3"], print)


def test_a_home_without_a_stack(tmp_path) -> None:
    settings = load_settings(home=tmp_path)
    assert status(settings) == []
    with pytest.raises(UsageError, match="no server 'kafka-1'"):
        log_file(settings, "kafka-1")
