# Every target makes .venv by itself. `make help` lists them.
PYTHON ?= python3
UV_VERSION := 0.13.9
BIN := .venv/bin
READY := .venv/.ready
# Peers' and libraries' telemetry stays off in everything that make starts.
export DO_NOT_TRACK := 1
export GX_ANALYTICS_ENABLED := False
export PREFECT_SERVER_ANALYTICS_ENABLED := false

.PHONY: help demo up test test-slow chaos bench bench-drift lint lock clean

help: ## List the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

demo: $(READY) ## The whole loop on a year of real flights, in about four minutes
	$(BIN)/flywheel demo

up: $(READY) ## A Prefect server, a worker and the model server for daily use
	$(BIN)/flywheel up

test: $(READY) lint ## Lint, types, import rules, doctests and tests
	$(BIN)/python -m pytest -q -n 3 --dist loadfile

test-slow: $(READY) ## The tests that take minutes or build an environment of their own
	$(BIN)/python -m pytest -q -m slow

chaos: $(READY) ## Faults by the hundred on real servers; the table goes to docs/reliability.md
	$(BIN)/python -m pytest -v -m chaos tests/chaos --write-table -n 3 --dist worksteal

bench: $(READY) ## Speed beside peers and limits; table and picture go to docs/performance.md
	$(BIN)/python tests/bench/speed/speed_bench.py

bench-drift: $(READY) ## Drift checks beside scipy, Evidently and NannyML; tables and pictures go to docs/drift.md
	$(BIN)/python tests/bench/drift/drift_bench.py
	PYTHONPATH=tests/flows $(BIN)/python tests/bench/flights/flights_bench.py
	$(BIN)/python -m pytest -q -s -m bench tests/bench

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy flywheel
	$(BIN)/lint-imports

PINNED := pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate
CONTAINERS := deployments/containers
IMAGE_EXTRAS := --extra kafka --extra dask --extra onnx --extra kubernetes --extra redis

lock: $(READY) ## Resolve pyproject.toml anew into requirements.lock, and the image's own (hashes, no hosts)
	$(BIN)/uv $(PINNED) --upgrade --extra dev pyproject.toml -o requirements.lock
	$(BIN)/uv $(PINNED) -c requirements.lock $(IMAGE_EXTRAS) pyproject.toml -o $(CONTAINERS)/requirements.lock
	$(BIN)/uv $(PINNED) --upgrade $(CONTAINERS)/build.in -o $(CONTAINERS)/build.lock
	$(BIN)/uv $(PINNED) --upgrade $(CONTAINERS)/mlflow/requirements.in -o $(CONTAINERS)/mlflow/requirements.lock

clean: ## Remove the environment and everything that was written
	rm -rf .venv .flywheel build dist *.egg-info

$(READY): requirements.lock pyproject.toml Makefile
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)
	VIRTUAL_ENV=.venv $(BIN)/uv pip sync --quiet --require-hashes requirements.lock
	VIRTUAL_ENV=.venv $(BIN)/uv pip install --quiet --no-deps --editable .
	touch $(READY)
