#!/usr/bin/env bash
# Start the servers of the cluster profile.
exec "$(dirname "$0")/../.venv/bin/guardian" stack up "$@"
