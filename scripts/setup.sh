#!/usr/bin/env bash
# Make the virtual environment with everything the cluster profile needs.
exec make -C "$(dirname "$0")/.." setup-dev
