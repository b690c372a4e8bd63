#!/usr/bin/env bash
# The test run, ordered fast to slow: `all`, or `embedded` for what needs Python only.
# On a Debian-like machine as root it installs what is missing; elsewhere it says what is.
set -euo pipefail
cd "$(dirname "$0")/.."
what="${1:-all}"
bin=.venv/bin

need() { # command, Debian package, what for, options of apt-get
  command -v "$1" >/dev/null 2>&1 && return
  if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
    echo "installing $2 ($3)"
    if ! { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq ${4:-} "$2"; } >/tmp/guardian-apt.log 2>&1; then
      tail -5 /tmp/guardian-apt.log >&2
    fi
  fi
  command -v "$1" >/dev/null 2>&1 || { echo "tests need $1 ($3): install the package $2" >&2; exit 1; }
}

export HYPOTHESIS_STORAGE_DIRECTORY="${TMPDIR:-/tmp}/guardian-hypothesis"
if [ "$what" = all ]; then
  need chromium chromium "browser tests"
  need javac openjdk-17-jdk-headless "cluster tests"
  need mvn maven "cluster tests"
  need promtool prometheus "tests of Prometheus' rules" --no-install-recommends
  echo "Airflow's environment: $($bin/python -m clickstream_guardian.stack.airflow)"
fi
$bin/ruff format --check .
$bin/ruff check .
$bin/mypy
$bin/lint-imports
$bin/python scripts/make_docs.py --check
# Two at once, a file's tests in one place. Servers share the machine with them: a test that fails is
# run once more, and what passes only then is listed as "rerun" to be mended.
again="--reruns 1 -rR"
$bin/pytest -n 2 --dist loadfile --durations=15 $again tests/unit
$bin/pytest -n 2 tests/property # nothing but processor time, and no server
rest="tests/parity tests/scenarios"
if [ "$what" = all ]; then
  exec $bin/pytest --durations=15 $again $rest tests/browser tests/cluster
fi
exec $bin/pytest --durations=15 $again -m "not browser and not cluster" $rest
