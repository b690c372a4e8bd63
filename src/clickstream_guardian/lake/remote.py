"""A lake's files on S3, for an engine that opens files by itself (DuckDB)."""

from __future__ import annotations

from collections.abc import Mapping

from fsspec import AbstractFileSystem
from fsspec.implementations.arrow import ArrowFSWrapper
from pyarrow.fs import S3FileSystem


class _S3Files(ArrowFSWrapper):  # type: ignore[misc]
    """Arrow's S3 under the name by which the paths of the lake call it."""

    protocol = "s3"


def s3_files(properties: Mapping[str, str]) -> AbstractFileSystem:
    """The S3 that a PyIceberg catalog's properties name, as a file system for ``s3://`` paths.

    DuckDB's own extension for S3 is downloaded when first used, which an offline machine cannot;
    Arrow's reader is here already.
    """
    scheme, _, address = properties["s3.endpoint"].partition("://")
    return _S3Files(
        S3FileSystem(
            access_key=properties["s3.access-key-id"],
            secret_key=properties["s3.secret-access-key"],
            endpoint_override=address,
            scheme=scheme,
            region=properties.get("s3.region", "us-east-1"),
        )
    )
