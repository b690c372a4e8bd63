"""Failures on purpose by number or by choice: a thin front of `guardian chaos`.

Run: `python scripts/failure_simulation.py [--list | --scenario N]`.
"""

from __future__ import annotations

import argparse
from contextlib import suppress

from clickstream_guardian.cli import main as guardian


def main() -> None:
    """List, run one, or ask which."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--list", action="store_true", help="the scenarios there are")
    parser.add_argument("--scenario", help="run this one")
    options = parser.parse_args()
    if options.list:
        return guardian(["chaos", "list"])
    if options.scenario is None:
        with suppress(SystemExit):
            guardian(["chaos", "list"])
        options.scenario = input("Which? (an empty answer ends) ").strip()
    return guardian(["chaos", "run", options.scenario]) if options.scenario else None


if __name__ == "__main__":
    main()
