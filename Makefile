# Mainspring: one declaration becomes a machine-learning system that runs, and stays right.
# `make` lists what can be made. Everything happens in .venv, which is made on first use.

PYTHON ?= python3
BIN := .venv/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile --constraint constraints.txt

.DEFAULT_GOAL := help
.PHONY: help demo test check format bench bench-features bench-online bench-import bench-busy bench-replay bench-drift bench-estimated bench-serving bench-beside bench-dashboard reliability clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: .venv/demo ## run the flight-delay system on 336,776 real flights, from raw CSV to a report
	$(BIN)/mainspring demo

test: .venv/dev ## run the whole test suite
	$(BIN)/python -m pytest -n 2 --dist loadfile

check: .venv/dev ## ruff, types and the order of the rooms
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

format: .venv/dev ## let ruff write the code its way
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

bench: bench-features bench-online bench-import bench-busy ## the benchmarks that take a minute or two; each ends with one JSON line

bench-features: .venv/dev .venv-bench/peers ## all features of 336,776 decisions, beside DuckDB and Polars; then 10 and 30 times as many
	$(BIN)/python benchmarks/features.py --peer-python .venv-bench/bin/python --scaling

bench-online: .venv/dev ## the online state: facts a second, microseconds a decision
	$(BIN)/python benchmarks/online.py

bench-import: .venv/dev ## how long `import mainspring` and `mainspring --help` take, and where the demo spends its time
	$(BIN)/python benchmarks/startup.py

bench-busy: .venv/dev ## a fit on quiet cores and beside a busy neighbour
	$(BIN)/python benchmarks/busy_machine.py

bench-replay: .venv/dev ## the loop over a year of flights, by days and by hours, without LightGBM's own time
	$(BIN)/python benchmarks/replay.py

bench-drift: .venv/dev .venv-bench-monitoring/peers ## which of 50 columns have moved, beside alibi-detect, NannyML and Evidently; 1 GB
	$(BIN)/python benchmarks/drift.py --peer-python .venv-bench-monitoring/bin/python

bench-estimated: .venv/dev .venv-bench-monitoring/peers ## quality before labels over 1,000,000 rows, beside NannyML
	$(BIN)/python benchmarks/estimated_quality.py --peer-python .venv-bench-monitoring/bin/python

bench-serving: .venv/dev .venv-bench-serving/peers ## requests a second beside FastAPI, MLServer, MLflow and BentoML; needs wrk, 7 minutes and 1 GB
	$(BIN)/python benchmarks/serving.py --peer-python .venv-bench-serving/bin/python

bench-beside: .venv/dev ## what a server loses by the loop and by a retraining beside it; needs wrk, 9 minutes
	$(BIN)/python benchmarks/beside.py

bench-dashboard: .venv/dev ## how long pages take over a year of flights, and what ten open tabs cost; needs wrk and Chromium, 12 minutes
	$(BIN)/python benchmarks/dashboard.py

reliability: .venv/dev ## kill a running server 50 times under load, and count what of all that it acknowledged is lost or there twice
	$(BIN)/python benchmarks/reliability.py --lives 50

clean: ## remove the environment and what tools left behind
	rm -rf .venv .venv-bench .venv-bench-monitoring .venv-bench-serving .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis

.venv/bin/python:
	$(PYTHON) -m venv .venv

.venv/demo: .venv/bin/python pyproject.toml constraints.txt
	@echo "Installing Mainspring into .venv (about a minute the first time) …" >&2
	$(PIP) --editable '.[demo]'
	@touch $@

.venv/dev: .venv/bin/python pyproject.toml constraints.txt
	$(PIP) --editable '.[demo,dev,mlflow,onnx]'
	@touch $@

.venv-bench/peers: constraints.txt
	$(PYTHON) -m venv .venv-bench
	.venv-bench/bin/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt polars duckdb pyarrow numpy
	@touch $@

.venv-bench-monitoring/peers: benchmarks/monitoring-peers.txt
	$(PYTHON) -m venv .venv-bench-monitoring
	.venv-bench-monitoring/bin/python -m pip install --quiet --disable-pip-version-check --requirement benchmarks/monitoring-peers.txt
	@touch $@

.venv-bench-serving/peers: benchmarks/serving-peers.txt
	$(PYTHON) -m venv .venv-bench-serving
	.venv-bench-serving/bin/python -m pip install --quiet --disable-pip-version-check --requirement benchmarks/serving-peers.txt
	@touch $@
