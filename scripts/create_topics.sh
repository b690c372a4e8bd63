#!/usr/bin/env bash
# Create the topics that are missing, and register the schemas.
guardian="$(dirname "$0")/../.venv/bin/guardian"
"$guardian" topics create "$@" && exec "$guardian" schemas register
