"""Turns what PostgreSQL and its driver complain about into sentences for a person."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import psycopg
from psycopg import errors
from sqlalchemy.exc import DBAPIError

from clickstream_guardian.errors import GuardianError
from clickstream_guardian.store.embedded import disk_full, is_disk_low

_GO_ON = "nothing that was committed is lost, run the same command again and it goes on"
_REFUSALS = (  # a refused connection comes without a code
    "authentication failed",
    "no password supplied",
    "no pg_hba.conf entry",
    "FATAL: role",
    "FATAL: database",
)


@contextlib.contextmanager
def clear_errors(place: str, folder: Path | None) -> Iterator[None]:
    """Raise database errors of the body as one sentence; programming errors pass unchanged.

    Args:
        place: the database, for a person, without its password.
        folder: of an embedded database, to look at the room left on its disk.

    Raises:
        GuardianError: disk full, connection lost or refused, or a right is missing.
    """
    try:
        yield
    except DBAPIError as error:
        cause = error.orig
        if not isinstance(cause, psycopg.Error):
            raise
        raise _sentence(cause, place, folder) or error from error
    except psycopg.Error as error:
        raise _sentence(error, place, folder) or error from error


def _sentence(error: psycopg.Error, place: str, folder: Path | None) -> GuardianError | None:
    said = " ".join(str(error).split())  # one line, one space
    if isinstance(error, errors.DiskFull):
        if folder is not None:
            return disk_full(folder)
        return GuardianError(f"The disk of the database {place} is full: make room, then {_GO_ON}.")
    if any(mark in said for mark in _REFUSALS):
        reason = said.rpartition("FATAL: ")[2].strip()
        return GuardianError(
            f"The database {place} refuses the connection ({reason}): check DATABASE_URL."
        )
    if isinstance(error, errors.InsufficientPrivilege):
        return GuardianError(
            f"The database {place} does not allow it ({said}): let its user own the database or "
            "grant it CREATE on the schema public."
        )
    if _is_lost(error):
        if folder is not None and is_disk_low(folder):
            return disk_full(folder)
        return GuardianError(f"The database {place} cannot be reached ({said}): {_GO_ON}.")
    return None


def _is_lost(error: psycopg.Error) -> bool:
    """Whether there is no working connection, rather than a statement that failed."""
    if error.sqlstate is None:
        return isinstance(error, psycopg.OperationalError)
    return error.sqlstate.startswith(("08", "57P", "53300"))
