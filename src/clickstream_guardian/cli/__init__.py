"""The command `guardian`: wires the rooms together and decides nothing itself."""

import os

# Columns come and go by the hundred megabytes. Large pages that are kept for a while cost a tenth
# of the page faults, and the allocator reads this once, when Polars is loaded.
os.environ.setdefault(
    "_RJEM_MALLOC_CONF",
    "background_thread:true,thp:always,dirty_decay_ms:10000,muzzy_decay_ms:10000",
)

from clickstream_guardian.cli.app import main

__all__ = ["main"]
