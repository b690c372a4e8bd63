"""The command `guardian`: wires the rooms together and decides nothing itself."""

from clickstream_guardian.cli.app import main

__all__ = ["main"]
