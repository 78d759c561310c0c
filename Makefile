# Everything runs from here: `make help`. Needs Python 3.10 or newer, and pip that can reach an index.

.DEFAULT_GOAL := help
SHELL := /bin/sh

PYTHON ?=
PYTHONS := $(PYTHON) python3.13 python3.12 python3.11 python3.14 python3 python3.10
# Celery 5.2 does not run on Python 3.12 or newer.
PYTHONS_CELERY52 := $(PYTHON_CELERY52) python3.11 python3.10

VENV ?= .venv
VENV_CELERY52 ?= .venv-celery52
VENV_CELERY55 ?= .venv-celery55
BIN := $(VENV)/bin

ARGS ?=
# Test processes: most tests wait for servers and workers most of the time.
JOBS ?= 3

.PHONY: help venv venv-celery52 venv-celery55 demo test test-fast lint format types generate verify-generated dashboards plugin collector dashboard-pictures bench soak constraints clean

help: ## Say what each target does
	@grep -E '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /|/' | awk -F'|' '{printf "  make %-18s %s\n", $$1, $$2}'

venv: ## Make the virtual environment .venv with everything in it (VENV=.venv310 PYTHON=python3.10 for another)
	@ONLY_PYTHON="$(PYTHON)" .ci/environment $(VENV) constraints.txt $(PYTHONS)

venv-celery52: ## Make a second one with the oldest supported Celery (where a Python for it is found)
	@if $(MAKE) --no-print-directory -s python-for-celery52 >/dev/null 2>&1; then \
		.ci/environment $(VENV_CELERY52) constraints-celery52.txt \
			$$($(MAKE) --no-print-directory -s python-for-celery52); \
	else \
		echo "celerytrail: no Python 3.10 or 3.11 found: tests on Celery 5.2 will be skipped" >&2; \
	fi

venv-celery55: ## Make a third one with Celery 5.5
	@.ci/environment $(VENV_CELERY55) constraints-celery55.txt $(PYTHONS)

.PHONY: python-for-celery52
python-for-celery52:
	@for python in $(PYTHONS_CELERY52) python3 $(VENV)/bin/python; do \
		if $$python -c 'import sys; sys.exit(not (3, 10) <= sys.version_info[:2] < (3, 12))' 2>/dev/null; then \
			$$python -c 'import os, sys; print(os.path.join(sys.base_prefix, "bin", "python%d.%d" % sys.version_info[:2]))'; \
			exit 0; \
		fi; \
	done; exit 1

demo: venv ## See it work: real Postgres, broker, workers (ARGS="--once --json" for one bounded run)
	@exec $(BIN)/celerytrail demo $(ARGS)

test: venv venv-celery52 venv-celery55 ## Run all tests, on real servers (ARGS="-k name" for some of them)
	@.ci/rabbitmq
	@.ci/chromium
	@.ci/postgres-majors $(BIN)/python constraints-postgres.txt
	@provisioning/otel-collector/build --if-go
	@provisioning/compose/build-loader --if-go
	@echo "celerytrail: running the tests; real servers are started on free ports and stopped again" >&2
	@CELERYTRAIL_TEST_CELERY52_PYTHON="$$( [ -x $(VENV_CELERY52)/bin/python ] && echo $(CURDIR)/$(VENV_CELERY52)/bin/python )" \
		CELERYTRAIL_TEST_CELERY55_PYTHON="$(CURDIR)/$(VENV_CELERY55)/bin/python" \
		$(BIN)/pytest --numprocesses $(JOBS) --dist loadfile $(ARGS)

test-fast: venv ## Run the unit tests only
	@$(BIN)/pytest tests/unit -m "not slow" $(ARGS)

lint: venv ## Check style, imports and layers
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/lint-imports

format: venv ## Format the code
	@$(BIN)/ruff check --fix-only --quiet .
	@$(BIN)/ruff format .

types: venv ## Check types, strictly
	@$(BIN)/mypy

generate: venv ## Write the generated files: sql/schema.sql, sql/catalog.json
	@$(BIN)/python -m celerytrail.examples.generated write

verify-generated: venv ## Check that the generated files are what would be written
	@$(BIN)/python -m celerytrail.examples.generated verify
	@if $(BIN)/python -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then \
		$(BIN)/celerytrail dashboards build --check; \
	else \
		echo "left out: provisioning/grafana needs Python 3.11 or newer, as grafana-foundation-sdk does" >&2; \
	fi
	@.ci/plugin verify

dashboards: venv ## Write the generated files of provisioning/grafana: dashboards, alert rules
	@$(BIN)/celerytrail dashboards build

plugin: ## Check and build Grafana's app plugin (needs Node.js; ACTION_API_URL=http://host:port for another address)
	@ACTION_API_URL="$(ACTION_API_URL)" .ci/plugin build

collector: ## Build the OpenTelemetry Collector with the parts that we use (needs Go)
	@provisioning/otel-collector/build

dashboard-pictures: venv ## Draw the dashboards with the demo's data into docs/pictures (needs Node.js and Chromium)
	@$(BIN)/python -m celerytrail.examples.pictures $(ARGS)

bench: venv ## Measure what it costs: agent, end to end, shipper, sink, dashboards (ARGS=--quick for a look)
	@$(BIN)/python -m tests.bench $(ARGS)

soak: venv ## Kill sinks, shippers, pool children and databases under 200,000 tasks, then count (ARGS="--tasks N --seed N")
	@$(BIN)/python -m tests.soak $(ARGS)

constraints: venv ## Write the constraints files (ARGS=--upgrade for the newest versions of everything)
	@.ci/constraints $(BIN)/uv constraints.txt pyproject.toml --all-extras --group dev $(ARGS)
	@.ci/constraints $(BIN)/uv constraints-celery52.txt pyproject.toml --extra seal --group celery52 $(ARGS)
	@.ci/constraints $(BIN)/uv constraints-celery55.txt pyproject.toml --extra seal --group celery55 $(ARGS)
	@.ci/constraints $(BIN)/uv constraints-postgres.txt --no-deps --group postgres $(ARGS)

clean: ## Remove what the other targets made
	rm -rf $(VENV) $(VENV_CELERY52) $(VENV_CELERY55) build dist *.egg-info
	rm -rf .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache .coverage htmlcov
	rm -rf dashboards/pictures/node_modules dashboards/pictures/dist
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
