"""What the program says when it cannot go on: one sentence with value, place and remedy."""

from __future__ import annotations


class GuardianError(Exception):
    """The work failed (exit code 1). The message is one sentence a person can act on."""

    exit_code = 1


class UsageError(GuardianError):
    """The command was used wrongly or its input cannot be read (exit code 2)."""

    exit_code = 2


class TooMuchRejectedError(GuardianError):
    """More of the input was rejected than the settings allow (exit code 3)."""

    exit_code = 3
