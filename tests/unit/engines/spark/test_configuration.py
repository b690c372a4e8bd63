from pathlib import Path

import pytest

from clickstream_guardian.engines.spark.configuration import (
    LakeAccess,
    S3Access,
    catalog_properties,
    write_configuration,
)
from clickstream_guardian.errors import UsageError


def test_the_catalog_takes_its_login_from_the_url() -> None:
    lake = LakeAccess("postgresql://who:p%40ss@db:5433/shop", "/data/lake")
    properties = catalog_properties(lake)
    assert properties["spark.sql.catalog.iceberg.uri"] == "jdbc:postgresql://db:5433/shop"
    assert properties["spark.sql.catalog.iceberg.jdbc.user"] == "who"
    assert properties["spark.sql.catalog.iceberg.jdbc.password"] == "p@ss"
    assert not any("s3" in name for name in properties)


def test_a_lake_on_s3_brings_its_keys() -> None:
    lake = LakeAccess(
        "postgresql://who@db/shop", "s3://lake", S3Access("http://s3", "eu", "key", "word")
    )
    properties = catalog_properties(lake)
    assert properties["spark.sql.catalog.iceberg.s3.secret-access-key"] == "word"
    assert properties["spark.sql.catalog.iceberg.uri"] == "jdbc:postgresql://db:5432/shop"


def test_a_database_behind_a_unix_socket_is_refused_with_the_remedy() -> None:
    with pytest.raises(UsageError, match=r"TCP only.*guardian stack"):
        catalog_properties(LakeAccess("postgresql:///shop?host=/tmp/s", "/data/lake"))


def test_settings_are_a_private_file(tmp_path: Path) -> None:
    write_configuration(tmp_path / "conf", {"spark.b": "c:\\d", "spark.a": "1"})
    file = tmp_path / "conf/spark-defaults.conf"
    assert file.read_text() == "spark.a=1\nspark.b=c:\\\\d\n"
    assert file.stat().st_mode & 0o077 == 0
