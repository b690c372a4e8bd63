"""Iceberg's files on a local disk."""

from __future__ import annotations

from pathlib import Path

import pytest
from pyiceberg.io import load_file_io

from clickstream_guardian.lake.local_io import LocalFileIO, local_path


@pytest.mark.parametrize("prefix", ["", "file://"])
def test_a_path_and_a_file_uri_are_the_same_file(tmp_path: Path, prefix: str) -> None:
    files = LocalFileIO()
    location = f"{prefix}{tmp_path}/a/b#1.avro"
    with files.new_output(location).create() as stream:
        stream.write(b"12345")
    assert local_path(location).read_bytes() == b"12345"
    assert len(files.new_input(location)) == 5
    with files.new_input(location).open() as opened:
        assert opened.read() == b"12345"


def test_an_existing_file_is_not_overwritten_unasked(tmp_path: Path) -> None:
    output = LocalFileIO().new_output(str(tmp_path / "one"))
    output.create().close()
    with pytest.raises(FileExistsError):
        output.create()
    output.create(overwrite=True).close()


def test_a_deleted_file_is_gone(tmp_path: Path) -> None:
    files = LocalFileIO()
    output = files.new_output(str(tmp_path / "one"))
    output.create().close()
    files.delete(output)
    assert not output.exists()
    with pytest.raises(FileNotFoundError):
        files.delete(str(tmp_path / "one"))


def test_the_catalog_finds_it_by_name(tmp_path: Path) -> None:
    name = "clickstream_guardian.lake.local_io.LocalFileIO"
    assert isinstance(load_file_io({"py-io-impl": name}, str(tmp_path)), LocalFileIO)
