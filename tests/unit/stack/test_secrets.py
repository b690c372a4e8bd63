"""Passwords are made once and are nobody else's to read."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from clickstream_guardian.errors import UsageError
from clickstream_guardian.settings import load_settings
from clickstream_guardian.stack.endpoints import (
    as_exports,
    cluster_database_url,
    environment,
    s3_login,
)
from clickstream_guardian.stack.secrets import load_or_create_secrets, load_secrets


def test_they_are_made_once(tmp_path: Path) -> None:
    assert load_secrets(tmp_path) is None
    made, new = load_or_create_secrets(tmp_path)
    again, new_again = load_or_create_secrets(tmp_path)
    assert (new, new_again) == (True, False)
    assert made == again == load_secrets(tmp_path)


def test_a_home_made_before_a_server_was_added_gets_what_that_needs(tmp_path: Path) -> None:
    made, _ = load_or_create_secrets(tmp_path)
    file = tmp_path / "secrets/stack.json"
    stored = json.loads(file.read_text())
    del stored["spark_secret"]
    file.write_text(json.dumps(stored))
    found = load_secrets(tmp_path)
    assert found is not None
    assert found == load_secrets(tmp_path)
    assert found.postgres_password == made.postgres_password
    assert len(found.spark_secret) > 30


def test_only_the_owner_can_read_them(tmp_path: Path) -> None:
    load_or_create_secrets(tmp_path)
    assert (tmp_path / "secrets/stack.json").stat().st_mode & 0o077 == 0


def test_no_two_homes_share_one(tmp_path: Path) -> None:
    one, _ = load_or_create_secrets(tmp_path / "a")
    other, _ = load_or_create_secrets(tmp_path / "b")
    assert one.postgres_password != other.postgres_password
    assert one.kafka_cluster_id != other.kafka_cluster_id


def test_the_exports_survive_a_shell() -> None:
    assert as_exports({"A": "x y'z"}) == "export A='x y'\"'\"'z'"


def test_the_environment_names_every_server(tmp_path: Path) -> None:
    load_or_create_secrets(tmp_path)
    found = environment(load_settings(home=tmp_path, kafka_port=1234))
    assert found["KAFKA_BOOTSTRAP_SERVERS"].startswith("127.0.0.1:1234,127.0.0.1:1235")
    assert found["GUARDIAN_WAREHOUSE"] == "s3://lake/warehouse"


def test_what_is_given_needs_no_stack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://u@h/d")
    settings = load_settings(home=tmp_path, s3_access_key="a", s3_secret_key="b")
    assert cluster_database_url(settings) == "postgresql://u@h/d"
    assert s3_login(settings) == ("a", "b")


def test_a_home_without_a_stack_is_told_so(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="guardian stack up"):
        s3_login(load_settings(home=tmp_path))
