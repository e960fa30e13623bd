# What a newcomer types. Everything goes into .venv; nothing is installed elsewhere.

PYTHON ?= $(shell command -v python3.11 || command -v python3.12 || command -v python3.13 || command -v python3)
BIN := .venv/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt

.PHONY: help demo demo-verify test lint format bench fit verify-published experiment clean
.DEFAULT_GOAL := help

help:  ## this list
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | awk -F '\t' '{printf "make %-16s %s\n", $$1, $$2}'

demo: .venv/.base  ## audit the sample captions: report, blocklist, what to try next
	$(BIN)/memaudit scan sample_data/captions -o demo/audit --fresh
	$(BIN)/memaudit export demo/audit --view rows -o blocklist.csv
	$(BIN)/memaudit report demo/audit -f html -o demo/report.html
	@echo
	@echo 'The audit is in demo/audit, the rows to drop are in blocklist.csv. Open demo/report.html. Try next:'
	@echo '  source .venv/bin/activate'
	@echo '  memaudit clean demo/audit -o demo/cleaned   the captions without dangerous repetition'
	@echo '  memaudit check demo/audit "PROMPT"          does a prompt match a finding?'
	@echo '  memaudit show demo/audit CLUSTER            one of them in full: the code at its right'
	@echo '  memaudit scan YOUR.parquet -o audit         your own captions'
	@echo '  make demo-verify                            ask a small Stable Diffusion what it copies, no GPU needed'

demo-verify: .venv/.verify  ## scan the built-in world, ask its model, show what it copies: two minutes after installing
	$(BIN)/memaudit --quiet scan sample_data/world/captions.parquet -o demo/world --hash-column md5 --fresh > /dev/null
	$(BIN)/memaudit verify demo/world --model sample_data/world/model --relation trained --steps 20 --guidance 3 --top 60
	$(BIN)/memaudit export demo/world --view rows --verdict replicated -o blocklist-world.csv
	$(BIN)/python sample_data/world/sheet.py demo/world -o demo/copies.png
	$(BIN)/memaudit report demo/world -f html -o demo/world.html --pictures
	@echo
	@echo 'Open demo/world.html: what the model draws beside its training pictures (all of them: demo/copies.png). The audit'
	@echo 'is in demo/world, the rows behind the copies are in blocklist-world.csv. Try next:'
	@echo '  source .venv/bin/activate'
	@echo '  memaudit show demo/world CLUSTER            one of them in full: the code at its right'
	@echo '  memaudit verify AUDIT --model MODEL --relation trained     your own audit, your own Stable Diffusion'

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

verify-published: .venv/.dev  ## ask SD 1.4 for the published prompts; needs your network and your GPU (docs/verify.md)
	$(BIN)/python -m tests.bench.verify_published $(if $(MODEL),--model $(MODEL)) $(if $(DATA),--data $(DATA)) $(PUBLISHED)

experiment: .venv/.dev  ## does cleaning help? trains 15 small models: three hours on two cores (docs/does-it-help.md)
	$(BIN)/python -m tests.bench.does_it_help $(or $(FOLDER),demo/experiment) $(EXPERIMENT)

clean:  ## remove the virtual environments and what demo wrote
	rm -rf .venv .bench-venv demo blocklist.csv blocklist-world.csv

$(BIN)/python:
	@test -n '$(PYTHON)' || { echo 'error: Python 3.11 or later is needed; try: make PYTHON=/path/to/python3.11'; exit 1; }
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "error: Python 3.11 or later is needed; try: make PYTHON=/path/to/python3.11")'
	$(PYTHON) -m venv .venv

.venv/.base: pyproject.toml constraints.txt | $(BIN)/python
	$(PIP) -e .
	@touch $@

.venv/.verify: pyproject.toml constraints.txt | $(BIN)/python
	$(PIP) -e '.[verify]'
	@touch $@ .venv/.base

.venv/.dev: pyproject.toml constraints.txt | $(BIN)/python
	$(PIP) -e '.[dev,verify]'
	@touch $@ .venv/.base

.bench-venv/.installed: tests/bench/peers.txt | $(BIN)/python
	$(BIN)/python -m venv .bench-venv
	.bench-venv/bin/python -m pip install --quiet --disable-pip-version-check -r $<
	@touch $@
