#!/usr/bin/env bash
# Stop the servers of the cluster profile; what they keep stays.
exec "$(dirname "$0")/../.venv/bin/guardian" stack down "$@"
