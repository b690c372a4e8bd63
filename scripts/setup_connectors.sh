#!/usr/bin/env bash
# Make the lake's tables and apply the landing connectors.
exec "$(dirname "$0")/../.venv/bin/guardian" connectors apply "$@"
