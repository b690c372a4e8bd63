# Guardian's front door. `make demo` is the first thing to try.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
UV := $(BIN)/uv
# Where Python may write no bytecode, each command would compile its libraries anew: seconds of a start.
export UV_COMPILE_BYTECODE := 1
MINIO_VERSION := v0.0.0-20260212201848-7aac2a2c5b7c

.PHONY: help setup setup-dev demo test test-embedded test-alerts check docs format bench bench-api bench-detect bench-spark chaos load load-stream soak lock clean minio test-minio

help: ## Show this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-16s %s\n", $$1, $$2}'

$(UV):
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r locks/bootstrap.txt

$(VENV)/.runtime: $(UV) locks/runtime.txt pyproject.toml
	$(UV) pip install --quiet --python $(BIN)/python --require-hashes -r locks/runtime.txt -r locks/build.txt
	$(UV) pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable .
	$(BIN)/python -m compileall -q src
	@touch $@

$(VENV)/.dev: $(VENV)/.runtime locks/dev.txt
	$(UV) pip install --quiet --python $(BIN)/python --require-hashes -r locks/dev.txt
	@touch $@

setup: $(VENV)/.runtime ## Make .venv with the command .venv/bin/guardian (locked dependencies)
setup-dev: $(VENV)/.dev ## The same with what tests and checks need

demo: setup ## One generated day with attacks: landed, judged, measured, explained
	@$(BIN)/guardian demo

test: setup-dev ## Everything there is
	@bash scripts/test.sh all

test-embedded: setup-dev ## The part that needs Python only
	@bash scripts/test.sh embedded

test-alerts: setup-dev ## The rules for Prometheus and the expressions of the dashboards, by promtool
	$(BIN)/pytest tests/cluster/test_promtool.py

minio: ## Build MinIO's last source release with Go (for GUARDIAN_S3_SERVER=minio)
	GOBIN="$${GUARDIAN_CACHE_DIR:-$$HOME/.cache/clickstream-guardian}/bin" go install github.com/minio/minio@$(MINIO_VERSION)

test-minio: setup-dev minio ## The landing test on MinIO instead of SeaweedFS
	GUARDIAN_S3_SERVER=minio $(BIN)/pytest -s tests/cluster/test_landing.py

check: setup-dev ## Format, lint, types, import rules, docs freshness
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python scripts/make_docs.py --check

docs: setup-dev ## Write the generated files anew
	$(BIN)/python scripts/make_docs.py

format: setup-dev ## Rewrite the code in the one format
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench-detect: setup-dev ## Live detection beside a running stack (after: eval "$$(guardian stack env)")
	PYTHONPATH=. $(BIN)/python bench/detect_kafka.py

bench: setup-dev ## The measurements behind docs/benchmarks.md (minutes; wants a quiet machine)
	PYTHONPATH=. $(BIN)/python bench/core.py
	PYTHONPATH=. $(BIN)/python bench/live.py
	PYTHONPATH=. $(BIN)/python bench/history.py
	PYTHONPATH=. $(BIN)/python bench/scale.py

bench-api: setup-dev ## The highest constant rate that the API holds, over a million anomalies
	PYTHONPATH=. $(BIN)/python bench/api.py

load: setup-dev ## 200 users of scripts/load_test.py (Locust) on the API, over a million anomalies
	PYTHONPATH=. $(BIN)/python bench/load.py

load-stream: setup-dev ## The highest rate that an engine holds, and what gives out first (ENGINE=embedded, kafka or spark)
	$(if $(filter-out embedded,$(ENGINE)),eval "$$($(BIN)/guardian stack env)" &&) PYTHONPATH=. $(BIN)/python bench/load_stream.py --engine $(or $(ENGINE),embedded) --seconds $(or $(STEP),60)

soak: setup-dev ## Half an hour at a steady rate: memory, state and files stay flat (MINUTES=30 SPEED=16; RATE=half of what load-stream found)
	PYTHONPATH=. $(BIN)/python bench/soak.py --minutes $(or $(MINUTES),30) $(if $(RATE),--rate $(RATE)) --speed $(or $(SPEED),16)

bench-spark: setup-dev ## Detection in Spark on the running stack: live rates, backlog, Spark's own aggregation
	eval "$$($(BIN)/guardian stack env)" && $(BIN)/python -m bench.detect_spark

chaos: setup-dev ## Every failure on purpose, one after the other, and their reports side by side
	failed=; for n in 8 9 11 1 2 3 4 5 6 7 10; do $(BIN)/guardian chaos run $$n || failed="$$failed $$n"; done; \
	$(BIN)/guardian chaos report && { [ -z "$$failed" ] || { echo "failed:$$failed" >&2; exit 1; }; }

lock: setup-dev ## Resolve the locked dependencies anew
	$(UV) pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header pyproject.toml --extra dashboard -o locks/runtime.txt
	$(UV) pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header pyproject.toml --all-extras -c locks/runtime.txt -o locks/dev.txt
	echo 'apache-airflow[postgres]>=3.3,<3.4' | $(UV) pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header - -o locks/airflow.txt
	echo hatchling | $(UV) pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header - -c locks/dev.txt -o locks/build.txt
	echo uv | $(UV) pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header - -c locks/dev.txt -o locks/bootstrap.txt

clean: ## Remove the virtual environment and the home
	rm -rf $(VENV) .guardian
