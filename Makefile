# plgops: everything a checkout needs, with Python 3.11+ (and its venv module) and make alone.

SHELL := /bin/bash
VENV := .venv
PY := $(VENV)/bin/python
PORT ?= 8000
# The first of these that is at least 3.11; PYTHON=/path/to/python names another.
PYTHONS := $(if $(PYTHON),$(PYTHON),python3 python3.14 python3.13 python3.12 python3.11)

.PHONY: help install run test check lock bench clean

help:  ## what can be done here
	@grep -E '^[a-z-]+:.*##' Makefile | sed -E 's/^([a-z-]+):.*## */  make \1|/' | column -t -s '|'

install: $(VENV)/.installed  ## make .venv with what plgops runs on
	@echo "Installed. Start it with: make run"

run: $(VENV)/.installed  ## start plgops on http://127.0.0.1:8000 (PORT=… for another port)
	@PORT=$(PORT) exec $(PY) -m plgops.run

test: $(VENV)/.installed-dev  ## run the tests on SQLite; no service needs to run
	@$(PY) -m pytest -n 2 $(ARGS)

check:  ## what CI runs: format, lint, types, import rules, tests on SQLite and PostgreSQL, browser tests
	@bash .ci/run

lock: $(VENV)/.installed-dev  ## pin requirements.in and requirements-dev.in, with hashes
	@$(PY) -m pip install -qq --disable-pip-version-check uv
	@for name in requirements requirements-dev; do \
	  $(VENV)/bin/uv pip compile -q --generate-hashes --no-header --universal --python-version 3.11 $$name.in -o $$name.txt || exit 1; \
	done

bench: $(VENV)/.installed-dev  ## how the benchmarks are run (installs what the tests need; they take minutes)
	@sed -n '/^## How to run/,/^## /p' benchmarks/README.md | sed '$$d'

clean:  ## remove .venv and everything generated; the data in var/ stays
	rm -rf $(VENV) staticfiles .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -not -path './var/*' -prune -exec rm -rf {} +

$(PY):
	@found=; for name in $(PYTHONS); do \
	  if $$name -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then found=$$name; break; fi; \
	done; \
	if [ -z "$$found" ]; then \
	  echo "plgops needs Python 3.11 or newer. On Debian: apt-get install python3 python3-venv" >&2; exit 1; fi; \
	if ! $$found -c 'import venv, ensurepip' 2>/dev/null; then \
	  echo "$$found has no venv module. On Debian: apt-get install python3-venv" >&2; exit 1; fi; \
	echo "Making $(VENV) with $$($$found --version)…"; \
	$$found -m venv $(VENV) || { rm -rf $(VENV); exit 1; }

$(VENV)/.installed: requirements.txt | $(PY)
	@echo "Installing what plgops runs on (about a minute, once)…"
	@$(PY) -m pip install -qq --disable-pip-version-check --require-hashes -r requirements.txt
	@touch $@

$(VENV)/.installed-dev: requirements-dev.txt | $(PY)
	@echo "Installing what the tests, checks and benchmarks need, development packages (about a minute, once)…"
	@$(PY) -m pip install -qq --disable-pip-version-check --require-hashes -r requirements-dev.txt
	@touch $@ $(VENV)/.installed
