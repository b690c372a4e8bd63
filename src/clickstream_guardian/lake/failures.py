"""Failures of disk, database and rivals, said in one sentence."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator

import pyarrow as pa
from pyiceberg.exceptions import CommitFailedException, ValidationException
from sqlalchemy.exc import DBAPIError

from clickstream_guardian.errors import GuardianError
from clickstream_guardian.lake.model import PositionConflictError
from clickstream_guardian.lake.positions import PositionsMovedError


@contextlib.contextmanager
def explained(doing: str) -> Iterator[None]:
    """Turn what fails inside into a ``GuardianError`` that names what was being done."""
    try:
        yield
    except PositionsMovedError as error:
        raise PositionConflictError(
            f"{doing} was refused: {error}; another run has moved it, so run the command again."
        ) from error
    except (CommitFailedException, ValidationException) as error:
        raise GuardianError(
            f"{doing} was refused ({first_line(error)}): another writer changed the table; "
            "run the command again."
        ) from error
    except DBAPIError as error:
        raise GuardianError(
            f"{doing} failed: the catalog database said {first_line(error.orig or error)!r}; "
            "nothing landed is lost: see that it runs and run the command again."
        ) from error
    except pa.ArrowException as error:
        raise GuardianError(
            f"{doing} failed: {first_line(error)}; nothing landed is lost: "
            "restore the file from a backup if it is damaged."
        ) from error
    except OSError as error:
        raise GuardianError(
            f"{doing} failed: {os.strerror(error.errno) if error.errno else error}"
            f"{f' ({error.filename})' if error.filename else ''}; nothing landed is lost: "
            "see to the disk and run the command again."
        ) from error


def first_line(error: BaseException) -> str:
    """The first line of an error's text."""
    return (str(error).splitlines() or [type(error).__name__])[0]
