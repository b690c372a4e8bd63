"""The one table of settings, and the only place that reads the environment.

Each setting is read from ``GUARDIAN_<NAME>``; a few familiar names (``DATABASE_URL``,
``REPLAY_SPEED``, ``KAFKA_BOOTSTRAP_SERVERS``, ``SCHEMA_REGISTRY_URL``) work as they are.
"""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import Annotated

from pydantic import AliasChoices, Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from clickstream_guardian.errors import UsageError


class Settings(BaseSettings):
    """Every setting with its meaning, unit and default (``docs/reference/settings.md`` is made of it)."""

    model_config = SettingsConfigDict(env_prefix="GUARDIAN_", frozen=True, extra="ignore")

    home: Annotated[Path, Field(description="Folder that holds everything of a run.")] = Path(
        ".guardian"
    )
    database_url: Annotated[
        SecretStr | None,
        Field(
            description="PostgreSQL to use instead of the embedded one (owner role).",
            validation_alias=AliasChoices("GUARDIAN_DATABASE_URL", "DATABASE_URL"),
        ),
    ] = None
    replay_speed: Annotated[
        str,
        Field(
            description="Replay speed: `max`, or how many times faster than the events' own time.",
            validation_alias=AliasChoices("GUARDIAN_REPLAY_SPEED", "REPLAY_SPEED"),
        ),
    ] = "max"
    allowed_lateness_seconds: Annotated[
        float,
        Field(
            ge=0,
            le=3600,
            description="How much older than its partition's newest event an event may be and still count in detection.",
        ),
    ] = 10.0
    max_rejected_ratio: Annotated[
        float,
        Field(
            ge=0,
            le=1,
            description="A source with more than this share of rejected lines ends with exit code 3.",
        ),
    ] = 0.5
    evidence_sample_size: Annotated[
        int, Field(ge=1, le=500, description="Events kept as evidence with an anomaly.")
    ] = 100
    rules_dir: Annotated[
        Path | None,
        Field(description="Folder of rule files to use instead of the built-in catalogue."),
    ] = None
    api_port: Annotated[int, Field(ge=0, le=65535, description="Port of the API.")] = 8000
    dashboard_port: Annotated[int, Field(ge=0, le=65535, description="Port of the dashboard.")] = (
        8501
    )
    bind_host: Annotated[str, Field(description="Address that API and dashboard bind.")] = (
        "127.0.0.1"
    )

    @cached_property
    def home_path(self) -> Path:
        """The home as an absolute path."""
        return self.home.expanduser().resolve()


def load_settings(**overrides: object) -> Settings:
    """Read the settings from the environment; ``overrides`` (command-line options) win.

    Raises:
        UsageError: a value does not fit its setting.
    """
    try:
        return Settings(**{k: v for k, v in overrides.items() if v is not None})  # type: ignore[arg-type]
    except ValidationError as error:
        first = error.errors()[0]
        name = "_".join(str(part) for part in first["loc"]).upper()
        name = (
            name if name.startswith(("GUARDIAN_", "DATABASE_", "REPLAY_")) else f"GUARDIAN_{name}"
        )
        raise UsageError(
            f"Setting {name}={first['input']!r} is not usable: {first['msg'].lower()}; "
            "see docs/reference/settings.md."
        ) from error
