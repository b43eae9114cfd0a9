# Two commands for a newcomer: `make demo` and `make test`. `make help` lists the rest.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
# Dozens of processes are started: what one of them compiled, the next need not again.
unexport PYTHONDONTWRITEBYTECODE

# Three workers on two cores, for tests wait for servers as often as they compute; the
# tests of a file share servers, so they stay together.
PYTEST ?= $(BIN)/pytest -q -n 3 --dist loadfile --no-loadscope-reorder

.PHONY: help install demo up test lint types imports unit soak bench docs docs-pictures clean

help: ## What there is
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 22

install: $(STAMP) ## Make .venv and install everything into it, at the pinned versions

$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; v = sys.version_info; sys.exit(v < (3, 11) and f"journeyport needs Python 3.11 or newer and $(PYTHON) is {v.major}.{v.minor}: run make PYTHON=/path/to/python3.11")'
	@echo "Installing into $(VENV): one to four minutes …"
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install -qq --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch $(STAMP)

demo: install ## Run the main job against local servers: about a minute, loopback only
	@$(BIN)/journeyport demo

up: install ## Start the local servers and the Dagster UI together; Ctrl-C ends all
	@$(BIN)/journeyport up

test: lint types imports unit ## Lint, types, import contracts and every test

lint: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: install
	$(BIN)/mypy

imports: install
	$(BIN)/lint-imports

unit: install
	$(PYTEST)

soak: install ## The long sweeps: thousands of seeds, every kill point
	$(BIN)/pytest -q -m soak --timeout 7200

bench: install ## The benchmarks; results are printed and kept as JSON under var/bench
	$(BIN)/python benchmarks/run.py

docs: install ## Write the generated pages again
	$(BIN)/python -m journeyport.dictionary > docs/dictionary.md

docs-pictures: install ## Take the pictures in the docs again; needs Chromium
	$(BIN)/python docs/pictures.py

clean: ## Remove the virtual environment and caches; var/ (your data) stays
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
