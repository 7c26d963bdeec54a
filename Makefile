# Everything a person or CI runs. `make run` starts the product, `make test` proves it.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

NPM_CI := npm ci --ignore-scripts --no-audit --no-fund --loglevel=error
ARGS ?=

.PHONY: help run chat todo build dashboard setup test fmt clippy unit unit-postgres all-postgres ui-check sdk sdk-postgres sdk-js e2e million release bench nodes soak faults fuzz calls

help: ## List the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

run: build ## Build the dashboard and the server, and serve ./burrow_data on 127.0.0.1:8090
	target/release/burrow serve $(ARGS)

chat: build ## Serve the chat example, with its collections, on 127.0.0.1:8090
	scripts/example.sh chat

todo: build ## Serve the todo example, with its collections, on 127.0.0.1:8090
	scripts/example.sh todo

build: dashboard ## Build the release binary with the dashboard inside
	cargo build --release

dashboard: admin-ui/dist/index.html ## Build the dashboard

admin-ui/dist/index.html: $(shell find admin-ui -path admin-ui/node_modules -prune -o -path admin-ui/dist -prune -o -type f -print 2>/dev/null)
	cd admin-ui && { [ -d node_modules ] && [ node_modules -nt package-lock.json ] || { $(NPM_CI) && touch node_modules; }; } && npm run build

setup: ## Install what only the tests need, when it is missing
	scripts/setup-tests.sh

test: setup fmt clippy unit unit-postgres dashboard ui-check sdk sdk-postgres sdk-js e2e ## Run every check, as CI does

fmt: ## Formatting
	cargo fmt --check

clippy: dashboard ## Lints, warnings are errors
	cargo clippy --all-targets -- -D warnings

unit: dashboard ## Unit, table and integration tests of the server
	cargo test

# What `make test` runs again on PostgreSQL: the groups that pass there every time.
POSTGRES_TESTS := account:: authenticator:: batch:: cascade:: expand:: oauth2:: realtime::channels realtime::fidelity \
	realtime::hostile realtime::limits realtime::live realtime::siege realtime::sight realtime::streams \
	records:: rules:: settings:: --skip security::

unit-postgres: unit ## Some of the integration tests again, on a real PostgreSQL
	BURROW_TEST_DATABASE=postgres cargo test --test it -- $(POSTGRES_TESTS)

# Each test that does not apply has its line, and its reason, in the file.
all-postgres: ## All integration tests that apply, on a real PostgreSQL
	BURROW_TEST_DATABASE=postgres cargo test --test it -- --exact $$(sed -nE 's/^([a-z_:]+)  .*/--skip \1/p' tests/it/embedded.txt)

ui-check: dashboard ## Types, lints, unit tests and size budget of the dashboard
	cd admin-ui && npm run check && npm run lint && npm run test && npm run budget

sdk: unit ## The official SDK against the real binary
	cd tests/sdk && { [ -d node_modules ] && [ node_modules -nt package-lock.json ] || { $(NPM_CI) && touch node_modules; }; }
	cargo build
	cd tests/sdk && BURROW_BIN=$(CURDIR)/target/debug/burrow npm test

sdk-postgres: sdk ## The same, with the data of each server in a real PostgreSQL
	cd tests/sdk && BURROW_REAL=$(CURDIR)/target/debug/burrow $(CURDIR)/scripts/with-postgres.sh \
		env BURROW_BIN=$(CURDIR)/scripts/burrow-on-postgres.sh npm test

sdk-js: sdk ## The client package against the real binary, also behind nginx
	cd sdk/js && { [ -d node_modules ] && [ node_modules -nt package-lock.json ] || { $(NPM_CI) && touch node_modules; }; } && BURROW_BIN=$(CURDIR)/target/debug/burrow npm test

e2e: unit ## The dashboard in a real headless Chromium against the real binary
	cargo build
	cd admin-ui && BURROW_BIN=$(CURDIR)/target/debug/burrow npm run e2e

million: build ## A million rows in the dashboard, and how long scrolling keeps the browser busy
	cd admin-ui && BURROW_BIN=$(CURDIR)/target/release/burrow BURROW_MILLION=1000000 npx vitest run --project e2e tests/e2e/million.e2e.ts

bench: build ## Burrow beside PocketBase and the floor (docs/benchmarks.md); ARGS="--pairs 3 --only list"
	command -v wrk >/dev/null || scripts/setup-bench.sh
	benches/bench.py $(ARGS)
	cargo bench --bench durable

nodes: build ## Burrow on PostgreSQL beside the least possible, between servers, and moving there
	command -v wrk >/dev/null || scripts/setup-bench.sh
	scripts/with-postgres.sh benches/nodes.py $(ARGS)
	scripts/with-postgres.sh benches/graduate.py

soak: build ## Half an hour of load and abuse, and a full disk; ARGS="--minutes 5"
	benches/soak.py $(ARGS)

faults: ## A hundred kills and a hundred power cuts in the middle of each kind of write
	BURROW_FAULTS=100 cargo test --test it faults -- --nocapture

fuzz: ## A million inputs for each parser, without a fuzzing engine
	BURROW_FUZZ=1000000 cargo test --release --test it fuzzing -- --nocapture

calls: ## Fifty thousand random calls beside a model of the server
	BURROW_CALLS=50000 cargo test --test it stateful -- --nocapture
