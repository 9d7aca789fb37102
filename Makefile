# `make` alone says what there is. Two of these are all a newcomer needs: `make run` and `make test`.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.NOTPARALLEL:

# The distribution's own Python where it will do: it is built with profile-guided optimisation, which others often are
# not, and relays about a fifth faster.
PYTHON ?= $(shell /usr/bin/python3 -c 'import ensurepip, venv, sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo /usr/bin/python3 || echo python3)
VAR ?= var
PORTAL ?= 127.0.0.1:8443
IMAP ?= 127.0.0.1:9993
UNIT_JOBS ?= 3
LONG_JOBS ?= 5
FUZZ_SECONDS ?= 10

BIN := .venv/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check
LOCKED := $(PIP) install --quiet --require-hashes
PYTEST := $(BIN)/python -m pytest
PIP_TOOLS := pip-tools==7.6.2

# What is compiled is kept, whatever the environment says: the scenarios start some hundreds of processes.
export PYTHONDONTWRITEBYTECODE :=

# Tests get a folder for temporary files of their own, and it goes with them. Others may pass through it (0711):
# the Postfix of the scenarios runs as a user of its own.
IN_TEMPORARY_FOLDER = folder=$$(mktemp -d) && chmod 0711 "$$folder" && trap 'rm -rf "$$folder"' EXIT && TMPDIR="$$folder"
# The unit tests' lies in memory where that has room: they wait for the disk some ten thousand times, and crash nothing
# that a disk would survive. Containers often have 64 MB there, which is too little.
MEMORY ?= /dev/shm
IN_MEMORY = room=$$(df --output=avail -BM $(MEMORY) 2>/dev/null | tr -dc '0-9' || true) && \
	if [ "$${room:-0}" -ge 4000 ] && [ -w $(MEMORY) ]; then export TMPDIR=$(MEMORY); fi && $(IN_TEMPORARY_FOLDER)

.PHONY: help run test check lint types layers unit scenarios fuzz bench docs lock format packages clean

help: ## Say what there is.
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

# --- running ---

run: .venv/run.stamp ## Start a demo on this machine; it drops messages into var/outbox, has a portal, and a mailbox.
	@[ -e $(VAR)/gateway.toml ] || $(BIN)/gateway init $(VAR)/ --portal $(PORTAL) --imap $(IMAP)
	@$(BIN)/python .ci/hello.py $(VAR)/gateway.toml $(BIN)/gateway
	@exec $(BIN)/gateway serve --config $(VAR)/gateway.toml

# --- testing ---

test: packages .venv/test.stamp lint types layers unit long ## Run everything; installs what the tests need.
	@echo "Everything passed."

.PHONY: quick
quick: .venv/test.stamp lint types layers ## Before each commit: lint, types, layers, the tests of the house; under two minutes.
	@$(IN_MEMORY) $(PYTEST) -q -n $(UNIT_JOBS) tests/house

check: .venv/test.stamp lint types layers unit ## The fast part: lint, types, layers, unit tests.

packages:
	@.ci/packages

lint: .venv/test.stamp ## Ruff: rules and format.
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: .venv/test.stamp ## mypy --strict.
	$(BIN)/mypy --strict

layers: .venv/test.stamp ## import-linter: imports only downwards.
	$(BIN)/lint-imports --no-logo

unit: .venv/test.stamp ## Unit tests and the tests of the house.
	@$(IN_MEMORY) $(PYTEST) -n $(UNIT_JOBS) tests/unit tests/house

.PHONY: coverage
coverage: .venv/test.stamp ## Unit tests, and which lines and branches they reach; takes half as long again.
	@$(IN_MEMORY) $(PYTEST) -n $(UNIT_JOBS) --cov --cov-report=term:skip-covered tests/unit tests/house

# A file is run by one process, and those files that take longest begin: the scenarios sort them. Left to itself, xdist
# would begin with the files that have most tests.
BY_FILE = --dist loadfile --no-loadscope-reorder

# Together, as the one mostly waits and the other never does.
.PHONY: long
long: .venv/test.stamp .venv/azurite.stamp
	@$(IN_TEMPORARY_FOLDER) GATEWAY_FUZZ_SECONDS=$(FUZZ_SECONDS) $(PYTEST) -n $(LONG_JOBS) $(BY_FILE) tests/scenarios tests/fuzz

scenarios: .venv/test.stamp .venv/azurite.stamp ## Whole processes and real peers.
	@$(IN_TEMPORARY_FOLDER) $(PYTEST) -n $(UNIT_JOBS) $(BY_FILE) tests/scenarios

fuzz: .venv/test.stamp ## Any input, for FUZZ_SECONDS (10).
	@$(IN_TEMPORARY_FOLDER) GATEWAY_FUZZ_SECONDS=$(FUZZ_SECONDS) $(PYTEST) -n $(UNIT_JOBS) $(BY_FILE) tests/fuzz

bench: .venv/test.stamp ## Measure beside Postfix (root, some minutes); docs/performance.md explains.
	@$(IN_TEMPORARY_FOLDER) PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python -m tests.bench

# --- writing ---

format: .venv/test.stamp ## Let Ruff put the code into form.
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs: .venv/test.stamp ## Write docs/settings.md and docs/rules.md anew from their definitions.
	@mkdir -p build && $(BIN)/python -m gateway.settings.reference >build/settings.md && mv build/settings.md docs/settings.md
	@$(BIN)/python -m gateway.rules.reference >build/rules.md && mv build/rules.md docs/rules.md

# Versions and hashes come from the registry alone: what this machine's pip configuration adds is left out.
COMPILE = env -u PIP_FIND_LINKS -u PIP_EXTRA_INDEX_URL -u PIP_CONSTRAINT PIP_CONFIG_FILE=/dev/null \
	CUSTOM_COMPILE_COMMAND="make lock" build/lock/bin/pip-compile --quiet --strip-extras --allow-unsafe \
	--generate-hashes --no-emit-index-url --no-emit-find-links --no-emit-trusted-host --no-emit-options

lock: ## Pin dependencies anew, within what pyproject.toml allows (UPGRADE=--upgrade: to the newest).
	@$(PYTHON) -m venv build/lock
	@build/lock/bin/python -m pip --disable-pip-version-check install --quiet $(PIP_TOOLS)
	$(COMPILE) $(UPGRADE) --output-file requirements/pip.txt requirements/pip.in
	$(COMPILE) $(UPGRADE) --only-build-deps --all-build-deps --output-file requirements/build.txt pyproject.toml
	$(COMPILE) $(UPGRADE) --output-file requirements/run.txt pyproject.toml
	$(COMPILE) $(UPGRADE) --extra test --constraint requirements/run.txt --output-file requirements/test.txt pyproject.toml
	$(COMPILE) $(UPGRADE) --extra ldap --constraint requirements/run.txt --output-file requirements/ldap.txt pyproject.toml
	@! grep -nE -e '--(index-url|extra-index-url|find-links|trusted-host)|[a-z]+://' requirements/*.txt

clean: ## Remove what was built. Your var/ stays: it may hold mail.
	rm -rf .venv build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache .coverage .coverage.*
	find gateway tests -name __pycache__ -type d -prune -exec rm -rf {} +

# --- the environment; stamps make the second time quick ---

.venv/venv.stamp:
	@.ci/python $(PYTHON)
	@$(PYTHON) -m venv --clear .venv
	@touch $@

.venv/build.stamp: .venv/venv.stamp requirements/build.txt requirements/pip.txt
	@echo "Installing pinned dependencies into .venv ..."
	@$(LOCKED) -r requirements/pip.txt
	@$(LOCKED) -r requirements/build.txt
	@touch $@

.venv/azurite.stamp: .venv/venv.stamp .ci/azurite
	@.ci/azurite .venv/azurite
	@touch $@

# Without build isolation even the tools that build a package are the pinned ones.
.venv/run.stamp: .venv/build.stamp requirements/run.txt pyproject.toml
	@$(LOCKED) --no-build-isolation -r requirements/run.txt
	@$(PIP) install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

.venv/test.stamp: .venv/run.stamp requirements/test.txt requirements/ldap.txt
	@$(LOCKED) --no-build-isolation -r requirements/test.txt
	@$(LOCKED) --no-build-isolation -r requirements/ldap.txt || \
		echo "python-ldap could not be built (it needs libldap-dev, libsasl2-dev and python3-dev); its tests are skipped"
	@touch $@
