"""The administrator's view of a Kafka cluster."""

from __future__ import annotations

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from clickstream_guardian.errors import GuardianError


def admin_client(servers: str) -> AdminClient:
    """A client for administration; it connects when it is first used."""
    return AdminClient({"bootstrap.servers": servers, "log_level": 0, "socket.timeout.ms": 10_000})


def brokers_online(servers: str, expected: int, seconds: float = 3.0) -> None:
    """Check that so many brokers have joined.

    Raises:
        GuardianError: they have not, or none answers.
    """
    try:
        found = len(admin_client(servers).list_topics(timeout=seconds).brokers)
    except KafkaException as error:
        raise GuardianError(
            f"No Kafka broker answers at {servers}: {error.args[0].str()}"
        ) from error
    if found < expected:
        raise GuardianError(f"{found} of {expected} Kafka brokers are online at {servers}")
