# From a fresh clone with Node.js 20 or later, Python with pip, and make: every entry installs what it needs.
# Set-up is done once and again only where something changed.

SHELL := /bin/sh
.DELETE_ON_ERROR:

# Options of `make demo`, for example ARGS=--stay.
ARGS ?=
# Another Node.js for `make test`, for example NODE=24; it comes from npm.
NODE ?=
# Where `make conformance` finds the corpora.
CORPORA ?= ../shared/corpora

dependencies := node_modules/.installed
built := dist/.built
envoy := ENVOY_BIN=$$(scripts/setup-envoy.sh)
node := $(if $(NODE),PATH="$$(scripts/setup-node.sh $(NODE)):$$PATH" && export PATH &&)
promtool := PROMTOOL_BIN=$$(scripts/setup-promtool.sh)

.PHONY: help demo test cluster-test kind-test lint bench soak conformance docs manifests build clean

help: ## What there is
	@awk -F ':.*## ' '/^[a-z]+:.*## /{printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: $(built) ## The example mesh with real Envoys, and calls through it; ARGS=--stay leaves it up
	@$(envoy) && export ENVOY_BIN && exec node --import ./test/support/ts.js demo/run.ts $(ARGS)

test: $(built) ## Every test, those through real Envoys too; NODE=24: on that Node.js
	@scripts/setup-redis.sh
	@$(node) $(envoy) && $(promtool) && export ENVOY_BIN PROMTOOL_BIN && npm run --silent test && npm run --silent test:contract && npm run --silent test:e2e
	@if [ -d ../shared/corpora ]; then npm run --silent conformance -- ../shared/corpora; fi

cluster-test: $(built) ## The suite on the cluster that KUBECONFIG names; it makes and removes namespaces of its own
	@npm run --silent test:cluster

kind-test: $(built) ## The image built, a kind cluster made, the suite run on it, and all removed; needs Docker
	@scripts/kind-test.sh

lint: $(built) ## Types, format, lint, and the doors between the rooms
	@npm run --silent lint

bench: $(built) ## Renews bench/RESULTS.md: CPU, latency, scale, floods, reloads; ARGS="--only SECTION,..."
	@scripts/setup-redis.sh
	@$(envoy) && export ENVOY_BIN && npm run --silent bench -- $(ARGS)

soak: $(built) ## Mixed load, changes and faults for ten minutes, each answer checked; ARGS="--minutes 60"
	@scripts/setup-redis.sh
	@npm run --silent soak -- $(ARGS)

conformance: $(built) ## What is accepted and refused, against public corpora; CORPORA=DIR
	@npm run --silent conformance -- $(CORPORA)

docs: $(built) ## Renews the parts of docs/ that the code writes: options, metrics
	@exec node --import ./test/support/ts.js test/docs/write.ts

manifests: $(built) ## Renews the part of k8s/overlays/example-mesh that the code writes
	@exec node --import ./test/support/ts.js demo/write-manifests.ts

build: $(built) ## The server and its command line, in dist/

clean: ## Removes what was built and installed
	rm -rf dist .cache coverage node_modules

$(dependencies): package.json package-lock.json
	@scripts/require-node.sh
	npm ci --no-audit --no-fund --loglevel=error
	@touch $@

$(built): $(dependencies) tsconfig.json tsconfig.build.json $(shell find src -name '*.ts')
	@rm -rf dist
	npm run --silent build
	@touch $@
