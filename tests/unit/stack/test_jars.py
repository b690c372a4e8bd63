"""The lock of the Java parts."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from clickstream_guardian.errors import GuardianError
from clickstream_guardian.stack.jars import LOCK, MAVEN_SETS, POM, check_files, read_lock, sha256


def test_every_set_is_locked() -> None:
    lock = read_lock(LOCK.read_text())
    assert lock.keys() == set(MAVEN_SETS)
    assert all(re.fullmatch("[0-9a-f]{64}", digest) for s in lock.values() for digest in s.values())


def test_the_lock_holds_the_versions_of_the_pom() -> None:
    pom, lock = POM.read_text(), read_lock(LOCK.read_text())
    versions = dict(re.findall(r"<([\w.]+)\.version>(.+?)</", pom))
    assert f"connect-runtime-{versions['kafka']}.jar" in lock["kafka"]
    assert f"iceberg-kafka-connect-{versions['iceberg']}.jar" in lock["iceberg-sink"]
    assert f"apicurio-registry-app-{versions['apicurio']}-all.tar.gz" in lock["registry"]


def test_the_locked_files_pass(tmp_path: Path) -> None:
    (tmp_path / "a.jar").write_bytes(b"a")
    check_files("kafka", tmp_path, {"a.jar": sha256(tmp_path / "a.jar")})


@pytest.mark.parametrize(
    "locked",
    [{}, {"a.jar": "0" * 64}, {"b.jar": "0" * 64}],
    ids=["unknown file", "another file", "missing file"],
)
def test_any_difference_is_refused(tmp_path: Path, locked: dict[str, str]) -> None:
    (tmp_path / "a.jar").write_bytes(b"a")
    with pytest.raises(GuardianError, match=r"differ from jars\.lock"):
        check_files("kafka", tmp_path, locked)
