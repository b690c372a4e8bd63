"""The schema registry: subjects, versions, compatibility, through the Confluent interface."""

from __future__ import annotations

import json
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import httpx

from clickstream_guardian.errors import GuardianError
from clickstream_guardian.events.fields import CLICK, PURCHASE
from clickstream_guardian.events.schemas import avro_files
from clickstream_guardian.sources.kafka.unknown import UnknownSchemaError

SUBJECTS = MappingProxyType(
    {
        "click-event.avsc": f"{CLICK.topic}-value",
        "purchase-event.avsc": f"{PURCHASE.topic}-value",
        "anomaly-event.avsc": "anomalies.v1-value",
    }
)
"""Schema file to the registry's subject: the values of one topic."""

COMPATIBILITY = "BACKWARD"
"""A new version must be able to read what the version before has written."""


@dataclass(frozen=True)
class Registered:
    """A schema in the registry."""

    subject: str
    schema_id: int


class SchemaRegistry:
    """A registry at its base URL."""

    def __init__(self, url: str) -> None:
        self._client = httpx.Client(base_url=url, timeout=10)
        self._url = url

    def register_all(self) -> list[Registered]:
        """Register this program's three schemas; what is there already keeps its id.

        Raises:
            GuardianError: the registry is away, or holds a schema that ours cannot follow.
        """
        return [self.register(SUBJECTS[file], schema) for file, schema in avro_files().items()]

    def register(self, subject: str, schema: dict[str, Any]) -> Registered:
        """Register one schema under ``BACKWARD``.

        Raises:
            GuardianError: the registry is away or refuses it.
        """
        self._ask("PUT", f"/config/{subject}", {"compatibility": COMPATIBILITY})
        answer = self._ask("POST", f"/subjects/{subject}/versions", {"schema": json.dumps(schema)})
        return Registered(subject, int(answer["id"]))

    def anomaly_id(self) -> int:
        """The id of the anomaly schema, registered if it was not.

        Raises:
            GuardianError: the registry is away or refuses it.
        """
        name = "anomaly-event.avsc"
        return self.register(SUBJECTS[name], avro_files()[name]).schema_id

    def incompatibilities(self, subject: str, schema: dict[str, Any]) -> list[str]:
        """Why the schema cannot follow the newest one of the subject; empty if it can."""
        answer = self._ask(
            "POST",
            f"/compatibility/subjects/{subject}/versions/latest?verbose=true",
            {"schema": json.dumps(schema)},
            missing={"is_compatible": True},
        )
        return [] if answer["is_compatible"] else answer.get("messages") or ["it is incompatible"]

    def by_id(self, schema_id: int) -> dict[str, Any]:
        """The schema of an id.

        Raises:
            UnknownSchemaError: there is none.
            GuardianError: the registry is away.
        """
        answer = self._ask("GET", f"/schemas/ids/{schema_id}", missing={})
        if not answer:
            raise UnknownSchemaError(f"Schema id {schema_id} is not in the registry {self._url}.")
        schema: dict[str, Any] = json.loads(answer["schema"])
        return schema

    def _ask(
        self,
        method: str,
        path: str,
        body: dict[str, Any] | None = None,
        missing: dict[str, Any] | None = None,
    ) -> dict[str, Any]:
        try:
            answer = self._client.request(method, path, json=body)
        except httpx.HTTPError as error:
            raise GuardianError(
                f"The schema registry at {self._url} does not answer ({error}); "
                "start it with `guardian stack up --only registry`."
            ) from error
        if answer.status_code == 404 and missing is not None:
            return missing
        if answer.is_error:
            raise GuardianError(
                f"The schema registry at {self._url} refuses {method} {path}: {_reason(answer)}"
            )
        found: dict[str, Any] = answer.json()
        return found


def _reason(answer: httpx.Response) -> str:
    try:
        return str(answer.json()["message"])
    except (ValueError, KeyError):
        return f"{answer.status_code} {answer.text[:200]}"
