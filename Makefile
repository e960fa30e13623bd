# What a newcomer types. Everything goes into .venv; nothing is installed elsewhere.

PYTHON ?= $(shell command -v python3.11 || command -v python3.12 || command -v python3.13 || command -v python3)
BIN := .venv/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt

.PHONY: help demo test lint format bench fit clean
.DEFAULT_GOAL := help

help:  ## this list
	@sed -n 's/^\([a-z]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | awk -F '\t' '{printf "make %-8s %s\n", $$1, $$2}'

demo: .venv/.base  ## audit the sample captions: report, blocklist, what to try next
	$(BIN)/memaudit scan sample_data/captions -o demo/audit --fresh
	$(BIN)/memaudit export demo/audit --view rows -o blocklist.csv
	@echo
	@echo 'The audit is in demo/audit, the rows to drop are in blocklist.csv. Try next:'
	@echo '  source .venv/bin/activate'
	@echo '  memaudit report demo/audit --top 50         more findings'
	@echo '  memaudit show demo/audit CLUSTER            one of them in full: the code at its right'
	@echo '  memaudit scan YOUR.parquet -o audit         your own captions'

test: .venv/.dev  ## lint, type-check and test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m pytest

lint: .venv/.dev  ## ruff and mypy only
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: .venv/.dev  ## rewrite the code as ruff wants it
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: .venv/.dev .bench-venv/.installed  ## compare with other tools on the same captions, rewrite docs/performance.md
	$(BIN)/python -m tests.bench.bench --peers .bench-venv/bin/python --page docs/performance.md $(BENCH)

fit: .venv/.dev  ## fit the ranking to labelled captions: make fit DATA="labelled.parquet ..." (docs/risk.md)
	$(BIN)/python -m tests.bench.fit $(DATA) --write

clean:  ## remove the virtual environments and what demo wrote
	rm -rf .venv .bench-venv demo blocklist.csv

$(BIN)/python:
	@test -n '$(PYTHON)' || { echo 'error: Python 3.11 or later is needed; try: make PYTHON=/path/to/python3.11'; exit 1; }
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "error: Python 3.11 or later is needed; try: make PYTHON=/path/to/python3.11")'
	$(PYTHON) -m venv .venv

.venv/.base: pyproject.toml constraints.txt | $(BIN)/python
	$(PIP) -e .
	@touch $@

.venv/.dev: pyproject.toml constraints.txt | $(BIN)/python
	$(PIP) -e '.[dev]'
	@touch $@ .venv/.base

.bench-venv/.installed: tests/bench/peers.txt | $(BIN)/python
	$(BIN)/python -m venv .bench-venv
	.bench-venv/bin/python -m pip install --quiet --disable-pip-version-check -r $<
	@touch $@
