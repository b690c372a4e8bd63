"""The OpenAPI document tells everything."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from clickstream_guardian.api.app import create_app
from clickstream_guardian.api.config import ApiConfig
from clickstream_guardian.store.read import ReaderConfig

CONFIG = ApiConfig(ReaderConfig("postgresql+psycopg://reader@/guardian"))


def document(config: ApiConfig = CONFIG) -> dict[str, Any]:
    return create_app(config).openapi()


def operations(found: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {path: item["get"] for path, item in found["paths"].items()}


def test_it_is_of_version_3_1_and_reads_only() -> None:
    found = document()
    assert found["openapi"].startswith("3.1.")
    assert {method for item in found["paths"].values() for method in item} == {"get"}


def test_every_operation_and_parameter_is_described() -> None:
    for path, operation in operations(document()).items():
        assert operation["summary"], path
        assert operation["description"], path
        for parameter in operation.get("parameters", []):
            assert parameter.get("description"), (path, parameter["name"])
            assert {"type": "null"} not in parameter["schema"].get("anyOf", [])


def test_every_error_is_problem_json() -> None:
    for path, operation in operations(document()).items():
        errors = {code: one for code, one in operation["responses"].items() if code >= "400"}
        assert {"422", "500"} <= set(errors), path
        for response in errors.values():
            (content,) = response["content"].items()
            assert content == (
                "application/problem+json",
                {"schema": {"$ref": "#/components/schemas/Problem"}},
            )


def test_keys_are_told_where_they_are_needed() -> None:
    assert "securitySchemes" not in document()["components"]
    found = document(replace(CONFIG, host="0.0.0.0"))
    for path, operation in operations(found).items():
        is_open = path in ("/", "/health", "/health/ready")
        assert ("security" in operation) is not is_open, path
        assert ({"401", "429", "503"} <= set(operation["responses"])) is not is_open, path


def test_every_reference_leads_somewhere() -> None:
    found = document()

    def references(node: Any) -> list[str]:
        if isinstance(node, dict):
            here = [node["$ref"]] if "$ref" in node else []
            return here + [one for value in node.values() for one in references(value)]
        return [one for value in node for one in references(value)] if type(node) is list else []

    names = {reference.removeprefix("#/components/schemas/") for reference in references(found)}
    assert names <= set(found["components"]["schemas"])
